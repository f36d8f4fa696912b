"""`python -m hypserini.encode` and what it leaves in its folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from hypserini import load_model
from hypserini.encode import QueryEncoder
from hypserini.encode.__main__ import main
from hypserini.encode.saved import SavedQNets
from hypserini.errors import ModelError, TopicsError


def encode(*arguments: object) -> int:
    return main([*map(str, arguments), "--quiet", "--device", "cpu"])


@pytest.fixture
def saved(tmp_path: Path, tiny_model: Path, topics_file: Path) -> Path:
    folder = tmp_path / "deep" / "q-nets"
    base = ("--model", tiny_model, "--topics", topics_file, "--batch-size", 3)
    assert encode(*base, "--output", folder) == 0
    return folder


def test_q_nets_come_back_in_any_order(saved: Path, tiny_model: Path, topics) -> None:
    expected = QueryEncoder(load_model(str(tiny_model), device="cpu")).encode(list(topics.values()))
    opened = SavedQNets(saved)
    assert opened.qids == list(topics)
    assert opened.metadata["model"] == str(tiny_model)
    order = [7, 0, 3]
    loaded = opened.load([list(topics)[i] for i in order])
    documents = torch.randn(20, expected.dim)
    assert torch.allclose(loaded(documents), expected(documents)[order], atol=1e-5)


def test_bad_requests_are_named(
    saved: Path, tiny_model: Path, topics_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(TopicsError, match="topic 999"):
        SavedQNets(saved).load(["999"])
    with pytest.raises(ModelError, match=r"hypserini\.encode"):
        SavedQNets(saved.parent / "nowhere")
    (saved / "q_nets-00001.safetensors").write_bytes(b"damaged")
    with pytest.raises(ModelError, match="q_nets-00001"):
        SavedQNets(saved).load(["5"])
    (saved / "q_nets.json").write_text("{")
    with pytest.raises(ModelError, match=r"q_nets\.json"):
        SavedQNets(saved)
    base = ("--model", tiny_model, "--topics", topics_file)
    assert encode(*base, "--output", saved) == 2
    assert f"{saved} exists" in capsys.readouterr().err


def test_a_failed_encoding_leaves_nothing(
    tmp_path: Path, topics_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "q-nets"
    assert encode("--model", "nobody/nothing", "--topics", topics_file, "--output", folder) == 2
    assert "nobody/nothing" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_index_file_is_plain_json(saved: Path) -> None:
    index = json.loads((saved / "q_nets.json").read_text())
    assert {len(file["qids"]) for file in index["files"]} == {1, 3}
