"""Training configurations: the paper's are understood, mistakes are named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hypserini.errors import TrainingError
from hypserini.train.__main__ import main
from hypserini.train.arguments import training_arguments
from hypserini.train.config import parse_config, read_config

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


def test_the_papers_config_is_understood(tmp_path: Path) -> None:
    path = tmp_path / "paper.yaml"
    path.write_text(PAPER.replace("OUT", str(tmp_path / "out")))
    config = read_config(path)
    assert config.data_config.num_negatives_to_sample == 7
    assert config.model_config.loss_type == ["margin_mse", "cross_entropy"]
    arguments = training_arguments(config.trainer_config, config.source)
    assert arguments.learning_rate == 2e-5
    assert arguments.warmup_steps == 6000
    assert arguments.max_steps == 1_000_000
    assert arguments.eval_strategy == "no"
    assert arguments.remove_unused_columns is False


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
    ],
)
def test_mistakes_are_named(change: dict[str, Any], message: str) -> None:
    config = {"data_config": {"training_data_jsonl": "x"}} | change
    with pytest.raises(TrainingError, match=message):
        parse_config(config, "my.yaml")


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


def test_the_command_says_it_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path / "none.yaml")]) == 2
    assert "none.yaml cannot be read" in capsys.readouterr().err
    path = tmp_path / "bad.yaml"
    path.write_text("model_config: [1, 2\n")
    assert main([str(path)]) == 2
    err = capsys.readouterr().err
    assert "bad.yaml is no YAML" in err
    assert err.count("\n") == 1
