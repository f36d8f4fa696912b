"""The models that a configuration can describe, and their first weights."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from hypserini.errors import TrainingError
from hypserini.modeling import DualEncoder, load_model
from hypserini.modeling.bi_encoder import BiEncoder
from hypserini.train.recipe.building import build_model
from hypserini.train.recipe.config import parse_config
from hypserini.train.trainer import train

Settings = Callable[..., dict[str, Any]]

SIZES = {"vocab_size": 200, "num_hidden_layers": 1, "num_attention_heads": 2}
SIZES |= {"intermediate_size": 32, "max_position_embeddings": 40, "pad_token_id": 0}


def _save_base(folder: Path, tokenizer: Path, kind: str, width: int = 16) -> str:
    """A random transformer of some kind with a tokenizer, as one finds them on the hub."""
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    sizes: dict[str, Any] = SIZES | {"hidden_size": width}
    if kind == "distilbert":
        sizes = {"vocab_size": 200, "dim": width, "n_layers": 1, "n_heads": 2, "hidden_dim": 32}
        sizes |= {"max_position_embeddings": 40}
    torch.manual_seed(sum(map(ord, folder.name)))
    AutoModel.from_config(AutoConfig.for_model(kind, **sizes)).save_pretrained(folder)
    AutoTokenizer.from_pretrained(tokenizer).save_pretrained(folder)
    return str(folder)


def _from(settings: Settings, query: str, passage: str | None = None, **model: Any) -> Any:
    """The configuration of a model that begins as one transformer, or as two."""
    config = settings(base_config=None, tokenizer_pretrained_model_name_or_path=None, **model)
    section = config["model_config"]
    section["query_encoder_kwargs"]["model_name_or_path"] = query
    if passage:
        section["passage_encoder_kwargs"]["model_name_or_path"] = passage
        section["shared_encoder"] = False
    config["trainer_config"]["hf_trainer_config"]["max_steps"] = 3
    return config


def _same(model: DualEncoder, side: str, other: torch.nn.Module) -> bool:
    """Whether one side's transformer has the weights of another, the pooler aside."""
    own = getattr(model, f"{side}_encoder").transformer.state_dict()
    pairs = [(own[k], w) for k, w in other.state_dict().items() if not k.startswith("pooler.")]
    return all(torch.equal(weight, other) for weight, other in pairs)


# BERT is also MiniLM, Contriever, RetroMAE and the paper's; TAS-B is a DistilBERT.
@pytest.mark.parametrize("kind", ["bert", "distilbert", "roberta", "xlm-roberta", "electra"])
@pytest.mark.parametrize("model_type", ["hypencoder", "biencoder"])
def test_any_bert_like_base_is_trained(
    kind: str, model_type: str, settings: Settings, tokenizer: Path, tmp_path: Path
) -> None:
    base = _save_base(tmp_path / "base", tokenizer, kind)
    config = _from(settings, base, model_type=model_type)
    section = config["model_config"]
    section |= {"head_initialization": "paper", "passage_encoder_kwargs": {"pooling_type": "cls"}}
    begun = build_model(parse_config(config))
    assert _same(begun, "passage", load_model(base, device="cpu").passage_encoder.transformer)
    model = load_model(train(parse_config(config), progress=False), device="cpu")
    assert model.config.base_config["model_type"] == kind
    assert isinstance(model, BiEncoder) == (model_type == "biencoder")
    assert not _same(model, "passage", begun.passage_encoder.transformer)
    tokens = model.tokenizer(["apple pear", "bus"], padding=True, return_tensors="pt")
    alone = model.tokenizer(["bus"], return_tensors="pt")
    with torch.no_grad():
        both = model.encode_documents(tokens["input_ids"], tokens["attention_mask"])
        one = model.encode_documents(alone["input_ids"], alone["attention_mask"])
    torch.testing.assert_close(both[1:], one, atol=1e-5, rtol=1e-4)


def test_queries_and_documents_begin_as_two_models(
    settings: Settings, tokenizer: Path, tmp_path: Path
) -> None:
    wide = _save_base(tmp_path / "wide", tokenizer, "bert", 24)
    narrow = _save_base(tmp_path / "narrow", tokenizer, "distilbert", 16)
    config = _from(settings, wide, narrow, model_type="hypencoder", head_initialization="paper")
    model = build_model(parse_config(config))
    for side, name in (("query", wide), ("passage", narrow)):
        transformer = load_model(name, device="cpu").passage_encoder.transformer
        assert _same(model, side, transformer)
    trained = load_model(train(parse_config(config), progress=False), device="cpu")
    assert (trained.dim, trained.config.transformer_config().hidden_size) == (16, 24)
    config["model_config"]["model_type"] = "biencoder"
    with pytest.raises(Exception, match="24 dimensions, and the documents' have 16"):
        build_model(parse_config(config))


def test_a_frozen_base_stays_as_it_is(settings: Settings, tokenizer: Path, tmp_path: Path) -> None:
    base = _save_base(tmp_path / "base", tokenizer, "bert")
    config = _from(settings, base)
    config["model_config"]["query_encoder_kwargs"]["freeze_transformer"] = True
    begun = build_model(parse_config(config))
    folder = train(parse_config(config), progress=False)
    model = load_model(folder, device="cpu")
    original = load_model(base, device="cpu").passage_encoder.transformer
    assert _same(model, "query", original)
    head = "query_encoder.hyper_base_vectors.0"
    assert not torch.equal(begun.get_parameter(head), model.get_parameter(head))
    # Trained further from there, it is frozen only if that is asked for again.
    again = settings(
        "again",
        checkpoint_path=str(folder),
        query_encoder_kwargs={},
        passage_encoder_kwargs={},
    )
    again["trainer_config"]["hf_trainer_config"]["max_steps"] = 2
    assert _same(build_model(parse_config(again)), "query", original)
    further = load_model(train(parse_config(again), progress=False), device="cpu")
    assert not _same(further, "query", original)


def test_one_side_can_be_frozen(settings: Settings, tokenizer: Path, tmp_path: Path) -> None:
    names = [_save_base(tmp_path / name, tokenizer, "bert") for name in ("one", "two")]
    config = _from(settings, *names, model_type="biencoder")
    config["model_config"]["passage_encoder_kwargs"]["freeze_transformer"] = True
    model = load_model(train(parse_config(config), progress=False), device="cpu")
    originals = [load_model(n, device="cpu").passage_encoder.transformer for n in names]
    assert not _same(model, "query", originals[0])
    assert _same(model, "passage", originals[1])
    config["model_config"]["query_encoder_kwargs"]["freeze_transformer"] = True
    with pytest.raises(TrainingError, match="leaves a bi-encoder nothing to train"):
        build_model(parse_config(config))


def test_the_papers_head_begins_as_the_paper_says(settings: Settings) -> None:
    config = settings(head_initialization="paper")
    section = config["model_config"]
    section["base_config"] |= {"hidden_size": 64}
    section["query_encoder_kwargs"]["converter_kwargs"] = {"vector_dimensions": [64] * 5 + [1]}
    head = build_model(parse_config(config)).query_encoder
    matrices, vectors = 5, 4

    def spread(parameters: Any) -> tuple[float, float]:
        values = torch.cat([parameter.detach().flatten() for parameter in parameters])
        return float(values.mean()), float(values.std())

    assert spread(head.hyper_base_matrices)[1] == pytest.approx((2 / 768) ** 0.5, rel=0.03)
    for queries in (head.weight_query_embeddings, head.bias_query_embeddings):
        mean, std = spread(queries)
        assert std == pytest.approx(10.0, rel=0.1)
        assert abs(mean) < 1.5
    projections = head.weight_hyper_projection
    assert spread(p.weight for p in projections)[1] == pytest.approx(1 / 768**2, rel=0.03)
    for zeros in (
        [p.bias for p in projections],
        head.hyper_base_vectors,
        [head.key_projections[i].bias for i in range(matrices)],
        [head.value_projections[i].bias for i in range(matrices)],
    ):
        assert spread(zeros) == (0.0, 0.0)
    # The rest as nn.Linear begins: uniform within 1 / sqrt(64), of either sign.
    for rest in (
        [p.weight for p in head.key_projections],
        [p.weight for p in head.value_projections],
        [p.weight for p in head.bias_hyper_projection],
        [head.value_projections[i].bias for i in range(matrices, matrices + vectors)],
    ):
        assert spread(rest)[1] == pytest.approx(1 / 8 / 3**0.5, rel=0.1)
        assert max(float(p.detach().abs().max()) for p in rest) <= 1 / 8


def test_sizes_that_do_not_fit_are_named(settings: Settings) -> None:
    config = settings()
    config["model_config"]["query_encoder_kwargs"]["base_encoder_output_dim"] = 768
    with pytest.raises(TrainingError, match=r"base_encoder_output_dim is 768.* 16 dimensions"):
        build_model(parse_config(config))


def test_what_a_base_puts_before_its_texts_is_kept_by_what_is_trained_on_it(
    settings: Settings, tokenizer: Path, tmp_path: Path
) -> None:
    base = _save_base(tmp_path / "base", tokenizer, "bert")
    noted = {"prompts": {"query": "query: ", "document": "passage: "}}
    (tmp_path / "base" / "config_sentence_transformers.json").write_text(json.dumps(noted))
    (tmp_path / "base" / "sentence_bert_config.json").write_text('{"do_lower_case": true}')
    trained = train(parse_config(_from(settings, base)), progress=False)
    config = load_model(trained, device="cpu").config
    assert (config.query_prefix, config.document_prefix) == ("query: ", "passage: ")
    assert config.lower_case
