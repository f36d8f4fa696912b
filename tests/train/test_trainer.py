"""Training a tiny model for a few steps, through the command and what it calls."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from hypserini.errors import TrainingError
from hypserini.modeling import load_model
from hypserini.train.__main__ import main
from hypserini.train.recipe.config import parse_config
from hypserini.train.trainer import train

TOPICS = ("apple pear plum", "train bus tram", "violin flute drum", "red green blue")
Settings = Callable[..., dict[str, Any]]


def _losses(config: dict[str, Any]) -> list[float]:
    from hypserini.train.recipe.arguments import training_arguments
    from hypserini.train.trainer import make_trainer

    parsed = parse_config(config)
    arguments = training_arguments(parsed.trainer_config, parsed.source)
    arguments.disable_tqdm = True
    trainer = make_trainer(parsed, arguments)
    trainer.train()
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


@pytest.mark.parametrize(
    "model",
    [
        {},
        {"loss_type": ["margin_mse", "cross_entropy"], "loss_kwargs": [{}, {}]},
        {"model_type": "biencoder"},
        {"shared_encoder": False},
    ],
    ids=["contrastive", "paper", "bi-encoder", "two-encoders"],
)
def test_the_loss_falls(model: dict[str, Any], settings: Settings, tmp_path: Path) -> None:
    losses = _losses(settings("out", **model))
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])


def test_the_same_seed_gives_the_same_losses(settings: Settings, tmp_path: Path) -> None:
    config = settings("out")
    config["trainer_config"]["hf_trainer_config"]["max_steps"] = 5
    assert _losses(config) == _losses(config)


def test_the_command_makes_a_model_that_scores(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "config.yaml"
    config = settings("out")
    config["trainer_config"]["hf_trainer_config"]["max_steps"] = 80
    path.write_text(yaml.safe_dump(config))
    assert main([str(path), "--quiet"]) == 0
    assert str(tmp_path / "out") in capsys.readouterr().out
    model = load_model(tmp_path / "out", device="cpu")
    assert (model.query_max_length, model.document_max_length, model.pooling) == (32, 32, "mean")
    texts = [" ".join(topic.split()[:2]) for topic in TOPICS]
    queries = model.tokenizer(texts, padding=True, return_tensors="pt")
    documents = model.tokenizer(list(TOPICS), padding=True, return_tensors="pt")
    with torch.no_grad():
        vectors = model.encode_documents(documents["input_ids"], documents["attention_mask"])
        scores = model.encode_queries(queries["input_ids"], queries["attention_mask"])(vectors)
    assert scores.argmax(dim=1).tolist() == [0, 1, 2, 3]


def test_training_goes_on_from_a_checkpoint(settings: Settings, tmp_path: Path) -> None:
    first = settings("first")
    train(parse_config(first), progress=False)
    begun = _losses(settings("unused"))
    again = {"checkpoint_path": str(tmp_path / "first"), "loss_type": "cross_entropy"}
    second = settings("second")
    second["model_config"] = again
    assert sum(_losses(second)[:5]) < 0.8 * sum(begun[:5])


def test_a_deeper_model_begins_as_the_shallow_one_it_comes_from(
    settings: Settings, tmp_path: Path
) -> None:
    first = settings("first", model_type="biencoder", normalize=True)
    first["model_config"] |= {"loss_kwargs": [{"temperature": 0.1}]}
    first["model_config"]["base_config"]["num_hidden_layers"] = 0
    train(parse_config(first), progress=False)
    second = settings("second", initial_weights=str(tmp_path / "first"))
    second["trainer_config"]["hf_trainer_config"] |= {"max_steps": 1, "learning_rate": 0.0}
    train(parse_config(second), progress=False)
    shallow, deep = (load_model(tmp_path / name, device="cpu") for name in ("first", "second"))
    assert deep.passage_encoder.transformer.config.num_hidden_layers == 1
    texts = shallow.tokenizer(list(TOPICS), padding=True, return_tensors="pt")
    ids, mask = texts["input_ids"], texts["attention_mask"]
    with torch.no_grad():
        expected, vectors = (model.encode_documents(ids, mask) for model in (shallow, deep))
        scores = deep.encode_queries(ids, mask)(vectors)
    torch.testing.assert_close(torch.nn.functional.normalize(vectors, dim=1), expected)
    cosines = expected @ expected.T
    assert torch.corrcoef(torch.stack([scores.flatten(), cosines.flatten()]))[0, 1] > 0.9


def test_parts_can_learn_at_other_rates(settings: Settings, tmp_path: Path) -> None:
    from hypserini.train.recipe.arguments import training_arguments
    from hypserini.train.trainer import make_trainer

    config = settings("out")
    config["trainer_config"]["learning_rate_factors"] = {"word_embeddings": 0.0, "query": 2.0}
    parsed = parse_config(config)
    trainer = make_trainer(parsed, training_arguments(parsed.trainer_config, parsed.source))
    name = "query_encoder.transformer.embeddings.word_embeddings.weight"
    head = "query_encoder.hyper_base_vectors.0"
    before = {key: trainer.model.get_parameter(key).detach().clone() for key in (name, head)}
    trainer.train()
    assert torch.equal(before[name], trainer.model.get_parameter(name))
    assert not torch.equal(before[head], trainer.model.get_parameter(head))
    assert sorted(g["initial_lr"] for g in trainer.optimizer.param_groups) == [0.0, 0.01]
    config["trainer_config"]["learning_rate_factors"] = {"hed": 2.0}
    parsed = parse_config(config)
    with pytest.raises(TrainingError, match="'hed', which no parameter has"):
        make_trainer(parsed, training_arguments(parsed.trainer_config, parsed.source))
    config["trainer_config"]["learning_rate_factors"] = {"query": 2.0}
    config["trainer_config"]["hf_trainer_config"]["optim"] = "adafactor"
    parsed = parse_config(config)
    with pytest.raises(TrainingError, match="are of AdamW, and optim is adafactor"):
        make_trainer(parsed, training_arguments(parsed.trainer_config, parsed.source))


def _correlation_with_dot_product(as_bi_encoder: bool) -> float:
    """How much an untrained Hypencoder's scores go with those of its own vectors."""
    from transformers import BertConfig

    from hypserini.modeling import HypencoderConfig, HypencoderDualEncoder, QNetConfig
    from hypserini.train.recipe.initialization import begin_as_bi_encoder

    torch.manual_seed(0)
    base = BertConfig(vocab_size=500, hidden_size=64, num_hidden_layers=1, num_attention_heads=2)
    q_net = QNetConfig((64, 64, 1), do_residual_on_last=True)
    model = HypencoderDualEncoder(HypencoderConfig.from_base(base, q_net, pooling="mean")).eval()
    if as_bi_encoder:
        begin_as_bi_encoder(model.query_encoder)
    ids = torch.randint(5, 500, (40, 12))
    mask = torch.ones_like(ids)
    with torch.no_grad():
        vectors = model.encode_documents(ids, mask)
        scores = model.encode_queries(ids[:, :8], mask[:, :8])(vectors)
        products = model.encode_documents(ids[:, :8], mask[:, :8]) @ vectors.T
    centred = [x - x.mean(0) - x.mean(1, keepdim=True) + x.mean() for x in (scores, products)]
    return float(torch.corrcoef(torch.stack([x.flatten() for x in centred]))[0, 1])


def test_the_head_can_begin_as_a_bi_encoder() -> None:
    assert _correlation_with_dot_product(as_bi_encoder=True) > 0.9
    assert abs(_correlation_with_dot_product(as_bi_encoder=False)) < 0.2
