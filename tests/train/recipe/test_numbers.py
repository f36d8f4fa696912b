"""Numbers of a configuration out of their ranges."""

from __future__ import annotations

import math

import pytest

from hypserini.errors import TrainingError
from hypserini.train.recipe.arguments import training_arguments
from hypserini.train.recipe.building import build_model
from hypserini.train.recipe.config import TrainerSection, ValidationSection, parse_config
from hypserini.train.recipe.numbers import ARGUMENTS, BASE, checked_numbers


def test_what_is_meant_as_a_number_becomes_one() -> None:
    given = {"learning_rate": "2e-5", "max_steps": "1e3", "seed": 7.0, "output_dir": "1"}
    assert checked_numbers(given, ARGUMENTS, "x") == (
        {"learning_rate": 2e-5, "max_steps": 1000, "seed": 7}
    )
    assert checked_numbers({"max_steps": None}, ARGUMENTS, "x") == {}
    assert isinstance(checked_numbers({"seed": 7.0}, ARGUMENTS, "x")["seed"], int)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("learning_rate", value) for value in (math.nan, math.inf, -1, "abc", True, [1])),
        *(("max_steps", value) for value in (1.5, 10**20, "1e30", "abc", -2)),
        *(("seed", value) for value in (-1, 2**32)),
        pytest.param("seed", 10**5000, id="a number of thousands of digits"),
        *(("per_device_train_batch_size", value) for value in (0, -3, 10**20, 1.5)),
        *(("gradient_accumulation_steps", value) for value in (0, -1)),
        *(("warmup_steps", value) for value in (-1, math.nan)),
        ("num_train_epochs", -1),
        ("dataloader_num_workers", -1),
        ("logging_steps", -1),
        ("weight_decay", -0.1),
    ],
)
def test_arguments_out_of_range_are_named(name: str, value: object, tmp_path) -> None:
    section = TrainerSection({"output_dir": str(tmp_path), "use_cpu": True, name: value})
    with pytest.raises(TrainingError, match=f"^it, hf_trainer_config: {name} is .*: give a "):
        training_arguments(section, "it")


def test_the_rest_of_the_section(tmp_path) -> None:
    config = {"output_dir": str(tmp_path), "use_cpu": True}
    for section, named in (
        (TrainerSection(config, early_stopping_patience=0), "early_stopping_patience is 0"),
        (TrainerSection(config, learning_rate_factors={"a": math.nan}), "a is nan"),
        (
            TrainerSection(config, validation=ValidationSection(beir="b", batch_size=0)),
            "validation: batch_size is 0",
        ),
    ):
        with pytest.raises(TrainingError, match=named):
            training_arguments(section, "it")


@pytest.mark.parametrize(
    ("name", "value"),
    [("hidden_size", -1), ("num_attention_heads", 0), ("vocab_size", "many"), ("hidden_size", 1.5)],
)
def test_no_model_has_such_a_shape(settings, name: str, value: object) -> None:
    values = settings()
    values["model_config"]["base_config"][name] = value
    with pytest.raises(TrainingError, match=f"base_config: {name} is .*: give a whole"):
        build_model(parse_config(values, "it"))
    assert name in BASE
