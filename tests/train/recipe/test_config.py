"""Training configurations: the paper's are understood, mistakes are named, ours can be built."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hypserini.errors import TrainingError
from hypserini.modeling import HypencoderDualEncoder
from hypserini.train.__main__ import main
from hypserini.train.recipe.arguments import training_arguments
from hypserini.train.recipe.building import build_model
from hypserini.train.recipe.config import CONFIGS, parse_config, read_config
from hypserini.train.trainer import make_trainer

# The shape of the paper's YAML, with the Trainer's names of its time.
PAPER = """
model_config:
  tokenizer_pretrained_model_name_or_path: google-bert/bert-base-uncased
  query_encoder_kwargs:
    model_name_or_path: google-bert/bert-base-uncased
    converter_kwargs: {vector_dimensions: [768, 768, 768, 1], do_residual_on_last: false}
  passage_encoder_kwargs: {pooling_type: cls}
  shared_encoder: true
  loss_type: [margin_mse, cross_entropy]
  loss_kwargs: [{}, {use_in_batch_negatives: true, only_use_first_item: true}]
data_config:
  training_data_jsonl: train.jsonl
  validation_data_jsonl: null
  positive_filter_type: first
  label_key: score
  num_positives_to_sample: 1
  num_negatives_to_sample: 7
trainer_config:
  hf_trainer_config:
    output_dir: OUT
    overwrite_output_dir: false
    evaluation_strategy: 'no'
    dataloader_prefetch_factor: 5
    dataloader_num_workers: 1
    learning_rate: 2.0e-05
    lr_scheduler_type: constant_with_warmup
    warmup_ratio: 0.0
    warmup_steps: 6000
    max_steps: 1000000
    fsdp: false
    fsdp_config: null
    report_to: none
    save_safetensors: false
  resume_from_checkpoint: true
"""


def test_the_papers_config_is_understood(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "paper.yaml"
    path.write_text(PAPER.replace("OUT", str(tmp_path / "out")))
    config = read_config(path)
    assert config.data_config.num_negatives_to_sample == 7
    assert config.model_config.loss_type == ["margin_mse", "cross_entropy"]
    with caplog.at_level(logging.INFO):
        arguments = training_arguments(config.trainer_config, config.source)
    assert arguments.learning_rate == 2e-5
    assert arguments.warmup_steps == 6000
    assert arguments.max_steps == 1_000_000
    assert arguments.eval_strategy == "no"
    assert arguments.remove_unused_columns is False
    assert "evaluation_strategy is now called eval_strategy" in caplog.text
    assert "save_safetensors is no longer used" in caplog.text


def test_values_can_be_set_on_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "paper.yaml"
    path.write_text(PAPER.replace("OUT", str(tmp_path / "out")))
    config = read_config(
        path,
        [
            "trainer_config.hf_trainer_config.max_steps=7",
            "trainer_config.validation.beir=folder",
            "model_config.loss_type=[cross_entropy]",
        ],
    )
    assert config.trainer_config.hf_trainer_config["max_steps"] == 7
    assert config.trainer_config.validation is not None
    assert config.trainer_config.validation.beir == "folder"
    assert config.model_config.loss_type == ["cross_entropy"]
    with pytest.raises(TrainingError, match="no key 'loss': did you mean loss_"):
        read_config(path, ["model_config.loss=1"])
    with pytest.raises(TrainingError, match=r"--set data_config.label_key.x: x is within no map"):
        read_config(path, ["data_config.label_key.x=1"])


def _read(folder: Path, text: str, *overrides: str) -> Any:
    (folder / "my.yaml").write_text(text)
    return read_config(folder / "my.yaml", overrides)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model_config: {model_type: 2020-13-45}", "is no YAML: a value in it is none of its kind"),
        ("model_config: {model_type: 0b_}", "is no YAML"),
        ("[" * 3000, "is no YAML: it is nested too deeply"),
        ("model_config: &a {query_encoder_kwargs: *a}", "an alias is part of what it stands for"),
        ("", "is no mapping of model_config, data_config, trainer_config"),
        ("model_config: {loss_type: }", "model_config: loss_type is None: give a text or a list"),
        ("model_config: {loss_type: 5}", "loss_type is 5: give a text or a list"),
        ("model_config: {loss_type: [1]}", r"loss_type is \[1\]: give a text or a list"),
        ("model_config: {loss_kwargs: [1]}", r"loss_kwargs is \[1\]: give a mapping or a list"),
        ("model_config: {normalize: 1}", "normalize is 1: give true or false"),
        ("model_config: {query_encoder_kwargs: []}", "query_encoder_kwargs is .*: give a mapping"),
        (
            "model_config: {query_encoder_kwargs: {1: 2}}",
            "query_encoder_kwargs is .*: give a mapping",
        ),
        ("model_config: {1: 2}", "there is no key 1: known are model_type"),
        ("model_config: {? 0x" + "f" * 9000 + " : 2}", "there is no key a number of 36,000 bits"),
        ("data_config: {positive_filter_kwargs: 5}", "positive_filter_kwargs is 5: give a mapping"),
        ("data_config: {training_data_split: 5}", "training_data_split is 5: give a text"),
        ("data_config: {num_negatives_to_sample: 1.5}", "num_negatives_to_sample is 1.5"),
        ("trainer_config: {validation: {beir: 5}}", "validation: beir is 5: give a text"),
        ("trainer_config: {validation: {max_queries: 0}}", "max_queries is 0: give at least 1"),
        ("trainer_config: {validation: {measures: x}}", "measures is 'x': give a list"),
        ("trainer_config: {early_stopping_patience: -1}", "patience is -1: give at least 1"),
        (
            "trainer_config: {learning_rate_factors: {a: b}}",
            "learning_rate_factors is .*: give a map",
        ),
        ("trainer_config: {" + "x" * 900 + ": 1}", "there is no key 'xxx"),
    ],
)
def test_values_of_the_wrong_kind_are_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(TrainingError, match=message) as caught:
        _read(tmp_path, text)
    assert "my.yaml" in str(caught.value)
    assert len(str(caught.value)) < 500


def test_what_is_set_may_be_wrong_too(tmp_path: Path) -> None:
    data = "data_config: {training_data_jsonl: a}"
    assert _read(tmp_path, "", "data_config.training_data_jsonl=a").model_config.normalize is False
    for text, override, message in (
        ("", "model_config.normalize=true", "names no training_data_jsonl"),
        (data, "model_config.normalize", "--set 'model_config.normalize': give section.key=value"),
        (data, "model_config.loss_type=2020-13-45", "--set 'model_config.loss_type': .* no YAML"),
        (data, "model_config.loss_type=[", "--set 'model_config.loss_type': .* no YAML"),
        (data, "model_config.loss_type=", "loss_type is None"),
        ("[1]", "model_config.loss_type=a", "loss_type is within no mapping"),
        (data, "=5", "there is no key ''"),
        (data, "model_config..x=5", "there is no key ''"),
    ):
        with pytest.raises(TrainingError, match=message):
            _read(tmp_path, text, override)


def test_configurations_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"a: caf\xe9\n")
    (tmp_path / "large.yaml").write_bytes(b"#" * (2 << 20))
    for path, message in (
        (tmp_path / "latin.yaml", "line 1: not UTF-8"),
        (tmp_path / "large.yaml", "longer than 1 MiB"),
        (tmp_path, "cannot be read"),
        ("x" * 5000, "that come along are be_base"),
        ("a\0b", "does not exist"),
    ):
        with pytest.raises(TrainingError, match=message):
            read_config(path)


def _tiny_bert(folder: Path, tokenizer: Path) -> Path:
    from transformers import AutoTokenizer, BertConfig, BertModel

    config = BertConfig(
        vocab_size=200,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
    )
    BertModel(config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(tokenizer).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("name", sorted(path.stem for path in CONFIGS.glob("*.yaml")))
def test_the_configurations_that_come_along_train(
    name: str, tokenizer: Path, tmp_path: Path
) -> None:
    base = str(_tiny_bert(tmp_path / "base", tokenizer))
    given = read_config(name)
    sizes = given.model_config.query_encoder_kwargs.get("converter_kwargs", {})
    blocks = len(sizes.get("vector_dimensions", [0, 0])) - 2
    negatives = given.data_config.num_negatives_to_sample
    items = [{"content": "pear plum", "score": 2.0}, {"content": "bus tram", "score": 0.5}]
    items = [{**item, "id": f"d{n}"} for n, item in enumerate(items[:1] + items[1:] * 15)]
    line = {"query": {"content": "apple"}, "items": items}
    (tmp_path / "train.jsonl").write_text((json.dumps(line) + "\n") * 2)
    overrides = {
        "model_config.tokenizer_pretrained_model_name_or_path": base,
        "model_config.query_encoder_kwargs.model_name_or_path": base,
        "data_config.training_huggingface_dataset": "null",
        "data_config.training_data_jsonl": str(tmp_path / "train.jsonl"),
        "trainer_config.hf_trainer_config.output_dir": str(tmp_path / "out"),
        "trainer_config.hf_trainer_config.max_steps": 1,
        "trainer_config.hf_trainer_config.per_device_train_batch_size": 2,
        "trainer_config.hf_trainer_config.dataloader_num_workers": 0,
        "trainer_config.hf_trainer_config.save_steps": 10,
    }
    if blocks:
        key = "model_config.query_encoder_kwargs.converter_kwargs.vector_dimensions"
        overrides[key] = [16] * (blocks + 1) + [1]
    if name == "head":
        np.save(tmp_path / "vectors.npy", np.ones((16, 16), np.float32))
        (tmp_path / "docids.txt").write_text("".join(f"{item['id']}\n" for item in items))
        vectors = {"files": str(tmp_path / "vectors.npy"), "model": base}
        overrides["model_config.passage_vectors"] = vectors
    config = read_config(name, [f"{key}={value}" for key, value in overrides.items()])
    trainer = make_trainer(config, training_arguments(config.trainer_config, config.source))
    model = trainer.model
    if name.startswith("hypencoder"):
        assert blocks == int(name.split(".")[1].split("_")[0])
        assert isinstance(model, HypencoderDualEncoder)
        assert len(model.config.q_net_config.vector_sizes) == blocks
    batch = trainer.data_collator([trainer.train_dataset[0], trainer.train_dataset[1]])
    documents = batch["passage_vectors" if name == "head" else "passage_input_ids"]
    assert len(documents) == 2 * (1 + negatives)
    taught = {"margin_mse", "kl_divergence"} & {*given.model_config.loss_type}
    assert ("labels" in batch) == bool(taught)
    trainer.train()
    assert trainer.state.global_step == 1


def test_the_papers_recipe_is_in_its_configurations() -> None:
    for name in ("hypencoder.2_layer", "hypencoder.6_layer", "hypencoder.8_layer", "be_base"):
        config = read_config(name)
        trainer = config.trainer_config.hf_trainer_config
        assert (trainer["max_steps"], trainer["warmup_steps"]) == (1_000_000, 6000)
        assert (trainer["learning_rate"], trainer["weight_decay"]) == (2e-5, 0.0)
        assert trainer["per_device_train_batch_size"] == 64
        assert (config.data_config.query_max_length, config.data_config.document_max_length) == (
            32,
            512,
        )
        assert config.model_config.loss_kwargs[1]["only_use_first_item"] is True
        assert config.model_config.head_initialization is None  # the paper's


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"modle_config": {}}, "no key 'modle_config': did you mean model_config"),
        ({"model_config": {"loss_typ": 1}}, "model_config: .*'loss_typ': did you mean loss_type"),
        ({"data_config": {}}, "no training_data_jsonl"),
        ({"data_config": 3}, "data_config is no mapping"),
        (
            {"data_config": {"training_data_jsonl": "x", "num_positives_to_sample": 0}},
            "num_positives_to_sample is 0: give a whole number of at least 1",
        ),
        ({"trainer_config": {"validation": 3}}, "validation: is no mapping"),
        (
            {
                "data_config": {"training_data_jsonl": "x", "num_positives_to_sample": 2},
                "model_config": {
                    "loss_type": "cross_entropy",
                    "loss_kwargs": {"only_use_first_item": True, "use_in_batch_negatives": False},
                },
            },
            "num_positives_to_sample can only be 1",
        ),
    ],
)
def test_mistakes_are_named(change: dict[str, Any], message: str) -> None:
    config = {"data_config": {"training_data_jsonl": "x"}} | change
    with pytest.raises(TrainingError, match=message):
        parse_config(config, "my.yaml")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"model_type": "hypncoder"}, "model_type is 'hypncoder': use one of hypencoder, bienc"),
        ({"head_initialization": "random"}, "head_initialization is 'random'"),
        ({"query_encoder_kwargs": {"poling_type": "cls"}}, "'poling_type': did you mean pooling_t"),
        ({}, "needs checkpoint_path, base_config, or a model_name_or_path"),
        (
            {
                "query_encoder_kwargs": {"model_name_or_path": "a"},
                "passage_encoder_kwargs": {"model_name_or_path": "b"},
            },
            "shared_encoder is true, but queries begin as a and documents as b",
        ),
    ],
)
def test_mistakes_in_the_model_are_named(model: dict[str, Any], message: str) -> None:
    config = {"data_config": {"training_data_jsonl": "x"}, "model_config": model}
    with pytest.raises(TrainingError, match=message):
        build_model(parse_config(config, "my.yaml"))


def test_what_a_bi_encoder_leaves_aside_is_said(caplog: pytest.LogCaptureFixture) -> None:
    kwargs = {"converter_kwargs": {"vector_dimensions": [8, 1]}}
    model = {"model_type": "biencoder", "query_encoder_kwargs": kwargs}
    config = {"data_config": {"training_data_jsonl": "x"}, "model_config": model}
    with pytest.raises(TrainingError, match="needs checkpoint_path"):
        build_model(parse_config(config, "my.yaml"))
    assert "so converter_kwargs has no effect" in caplog.text


def test_mistakes_in_the_trainers_part_are_named(tmp_path: Path) -> None:
    def arguments(**values: Any) -> Any:
        section = {"hf_trainer_config": {"output_dir": str(tmp_path)} | values}
        data = {"training_data_jsonl": "x"}
        config = parse_config({"data_config": data, "trainer_config": section}, "my.yaml")
        return training_arguments(config.trainer_config, config.source)

    with pytest.raises(TrainingError, match=r"'learning_rat': did you mean learning_rate"):
        arguments(learning_rat=1.0)
    with pytest.raises(TrainingError, match=r"my.yaml, hf_trainer_config: .*sometimes"):
        arguments(save_strategy="sometimes")
    with pytest.raises(TrainingError, match="resume_from_checkpoint is a key of trainer_config"):
        arguments(resume_from_checkpoint="out/checkpoint-5")
    assert arguments(save_strategy=False).save_strategy == "no"


def test_the_best_model_is_told_by_any_spelling_of_a_measure(tmp_path: Path) -> None:
    def arguments(**values: Any) -> Any:
        section = {
            "validation": {"beir": "x", "measures": ["mrr@10", "ndcg_cut.10"]},
            "hf_trainer_config": {"output_dir": str(tmp_path), "load_best_model_at_end": True}
            | values,
        }
        data = {"training_data_jsonl": "x"}
        config = parse_config({"data_config": data, "trainer_config": section}, "my.yaml")
        return training_arguments(config.trainer_config, config.source)

    assert arguments().metric_for_best_model == "RR@10"
    assert arguments(metric_for_best_model="eval_ndcg@10").metric_for_best_model == "nDCG@10"
    for strange in ("R@100", "loss", "x"):
        with pytest.raises(TrainingError, match=r"is '.*': use one of RR@10, nDCG@10\."):
            arguments(metric_for_best_model=strange)


def test_a_model_is_validated_when_it_is_saved(tmp_path: Path) -> None:
    def arguments(**values: Any) -> Any:
        trainer = {"output_dir": str(tmp_path), "logging_steps": 7} | values
        section = {"hf_trainer_config": trainer, "validation": {"beir": "folder"}}
        data = {"training_data_jsonl": "x"}
        config = parse_config({"data_config": data, "trainer_config": section}, "my.yaml")
        return training_arguments(config.trainer_config, config.source)

    for made, every in ((arguments(save_steps=40), 40), (arguments(), 500)):
        assert (made.eval_strategy, made.eval_steps, made.save_steps) == ("steps", every, every)
    best = arguments(load_best_model_at_end=True)
    assert (best.metric_for_best_model, best.greater_is_better) == ("nDCG@10", True)
    assert arguments(save_strategy="epoch").eval_strategy == "epoch"
    assert arguments(save_strategy="no").eval_strategy == "no"
    assert arguments(evaluation_strategy="no").eval_strategy == "no"


@pytest.mark.skipif(torch.accelerator.is_available(), reason="there is a GPU")
def test_without_a_gpu_bf16_trains_on_the_cpu(tmp_path: Path) -> None:
    section = {"hf_trainer_config": {"output_dir": str(tmp_path), "bf16": True, "tf32": True}}
    config = parse_config(
        {"data_config": {"training_data_jsonl": "x"}, "trainer_config": section}, "my.yaml"
    )
    arguments = training_arguments(config.trainer_config, config.source)
    assert arguments.device.type == "cpu"
    assert arguments.bf16


def test_the_command_says_it_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path / "none.yaml")]) == 2
    err = capsys.readouterr().err
    assert "none.yaml cannot be read" in err
    assert "hypencoder.6_layer" in err
    path = tmp_path / "bad.yaml"
    path.write_text("model_config: [1, 2\n")
    assert main([str(path)]) == 2
    err = capsys.readouterr().err
    assert "bad.yaml is no YAML" in err
    assert err.count("\n") == 1
