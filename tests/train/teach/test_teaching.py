"""`python -m hypserini.train.teach`: the scores of a cross-encoder, and what is refused."""

from __future__ import annotations

import gzip
import json
import os
import random
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import WORDS, files_of_at_most
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    BertModel,
)

from hypserini.demo.tokenizer import train_wordpiece
from hypserini.formats.workplace import Workplace
from hypserini.train.teach import teaching
from hypserini.train.teach.__main__ import main

POSITIONS = 48


def make_cross_encoder(folder: Path, labels: int = 1, *, bare: bool = False) -> Path:
    """A random BERT of two layers with a head of so many labels, or without one."""
    torch.manual_seed(labels)
    tokenizer = train_wordpiece([" ".join(WORDS)] * 3, 300, max_length=POSITIONS)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=POSITIONS,
        initializer_range=0.5,
        num_labels=labels,
    )
    model = BertModel(config) if bare else BertForSequenceClassification(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_cross_encoder(tmp_path_factory.mktemp("models") / "one")


@pytest.fixture
def examples() -> list[dict[str, Any]]:
    """Examples of one to five items of very different lengths."""
    rng = random.Random(3)

    def text(longest: int) -> str:
        return " ".join(rng.choices(WORDS, k=rng.randint(1, longest)))

    return [
        {
            "query": {"id": n, "content": text(6)},
            "items": [
                {"id": f"{n}-{i}", "content": text(90), "score": 9.0, "type": "x"}
                for i in range(rng.randint(1, 5))
            ],
            "extra": n,
        }
        for n in range(40)
    ]


@pytest.fixture
def data(tmp_path: Path, examples: list[dict[str, Any]]) -> Path:
    return write(tmp_path / "train.jsonl", examples)


def write(path: Path, examples: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(example) + "\n" for example in examples))
    return path


def teach(*arguments: object) -> int:
    return main([*map(str, arguments), "--quiet", "--device", "cpu"])


def failure(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert teach(*arguments) == 2
    [*_, error] = capsys.readouterr().err.strip().splitlines()
    assert ": error: " in error
    return error


def scores_of(path: Path) -> list[float]:
    lines = path.read_text().splitlines()
    return [item["score"] for line in lines for item in json.loads(line)["items"]]


@torch.no_grad()
def logits_by_hand(folder: Path, examples: list[dict[str, Any]], max_length: int) -> torch.Tensor:
    """Each pair by itself through transformers, `[pairs, labels]`."""
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    return torch.cat(
        [
            model(
                **tokenizer(
                    example["query"]["content"],
                    item["content"],
                    truncation=True,
                    max_length=max_length,
                    return_tensors="pt",
                )
            ).logits
            for example in examples
            for item in example["items"]
        ]
    )


def test_every_item_has_the_model_s_score_and_all_else_stays(
    tmp_path: Path, data: Path, examples: list[dict[str, Any]], teacher: Path
) -> None:
    output = tmp_path / "deep" / "taught.jsonl"
    base = ("--input", data, "--output", output, "--model", teacher)
    assert teach(*base, "--batch-size", 7) == 0
    expected = logits_by_hand(teacher, examples, POSITIONS)[:, 0]
    assert expected.std() > 0.1
    assert scores_of(output) == pytest.approx(expected.tolist(), abs=1e-5)
    for line, example in zip(output.read_text().splitlines(), examples, strict=True):
        written = json.loads(line)
        for item in [*written["items"], *example["items"]]:
            del item["score"]
        assert written == example
    assert [path.name for path in output.parent.iterdir()] == ["taught.jsonl"]

    assert teach(*base, "--max-length", 16, "--score", "probability") == 0
    expected = logits_by_hand(teacher, examples, 16)[:, 0].sigmoid()
    assert scores_of(output) == pytest.approx(expected.tolist(), abs=1e-5)


def test_of_two_labels_the_log_odds_of_the_positive_one(
    tmp_path: Path, data: Path, examples: list[dict[str, Any]]
) -> None:
    folder = make_cross_encoder(tmp_path / "two", 2)
    logits = logits_by_hand(folder, examples, POSITIONS)
    output = tmp_path / "taught.jsonl"
    base = ("--input", data, "--output", output, "--model", folder)
    assert teach(*base) == 0
    assert scores_of(output) == pytest.approx((logits[:, 1] - logits[:, 0]).tolist(), abs=1e-5)
    assert teach(*base, "--positive-label", 0) == 0
    assert scores_of(output) == pytest.approx((logits[:, 0] - logits[:, 1]).tolist(), abs=1e-5)
    assert teach(*base, "--score", "probability") == 0
    assert scores_of(output) == pytest.approx(logits.softmax(-1)[:, 1].tolist(), abs=1e-5)


def test_gzip_in_and_out(tmp_path: Path, data: Path, teacher: Path) -> None:
    packed = tmp_path / "train.jsonl.gz"
    packed.write_bytes(gzip.compress(data.read_bytes()))
    plain, output = tmp_path / "taught.jsonl", tmp_path / "taught.jsonl.gz"
    assert teach("--input", data, "--output", plain, "--model", teacher) == 0
    assert teach("--input", packed, "--output", output, "--model", teacher) == 0
    assert gzip.decompress(output.read_bytes()) == plain.read_bytes()


def interrupt(
    monkeypatch: pytest.MonkeyPatch, chunks: int, torn: bytes, *arguments: object
) -> None:
    """Run until so many chunks are written, then die as under `kill -9` with a torn line."""
    score = teaching.Teaching._score
    done = 0

    def dying(self: Any, chunk: Any) -> str:
        nonlocal done
        if done == chunks:
            raise KeyboardInterrupt
        done += 1
        return score(self, chunk)

    with monkeypatch.context() as patch:
        patch.setattr(teaching.Teaching, "_score", dying)
        assert teach(*arguments) == 130
    if chunks:
        with open(f"{arguments[3]}.building/lines.jsonl", "ab") as file:
            file.write(torn)


def test_a_resumed_run_gives_the_same_file(
    tmp_path: Path,
    data: Path,
    teacher: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(teaching, "BATCHES_A_CHUNK", 2)
    whole, output = tmp_path / "whole.jsonl", tmp_path / "taught.jsonl"
    rest = ("--model", teacher, "--batch-size", 8)
    assert teach("--input", data, "--output", whole, *rest) == 0
    base = ("--input", data, "--output", output, *rest)
    first = whole.read_bytes().splitlines(keepends=True)[0]
    for torn in (b"", b'{"query"', first, first + first[:9]):
        interrupt(monkeypatch, 2, torn, *base)
        assert not output.exists()
        assert "--resume" in failure(capsys, *base)
        assert teach(*base, "--resume") == 0
        assert output.read_bytes() == whole.read_bytes()
        assert not Path(f"{output}.building").exists()
        output.unlink()


def test_a_run_is_resumed_with_the_same_settings_alone(
    tmp_path: Path,
    data: Path,
    teacher: Path,
    index: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(teaching, "BATCHES_A_CHUNK", 1)
    base = ("--input", data, "--output", tmp_path / "taught.jsonl", "--batch-size", 8)
    model = ("--model", teacher)
    interrupt(monkeypatch, 0, b"", *base, *model)
    assert not (tmp_path / "taught.jsonl.building").exists()
    interrupt(monkeypatch, 1, b"", *base, *model)
    error = failure(capsys, *base, *model, "--resume", "--score", "probability")
    assert "had score logit and not probability" in error
    other = make_cross_encoder(tmp_path / "other", 2)
    assert "had weights" in failure(capsys, *base, "--resume", "--model", other)
    assert "had texts" in failure(capsys, *base, *model, "--resume", "--index", index)
    write(data, [{"query": {"content": "a"}, "items": [{"content": "b"}]}])
    assert "had input size" in failure(capsys, *base, *model, "--resume")
    assert teach(*base[:3], tmp_path / "new.jsonl", *model, "--resume") == 0


def test_a_score_that_is_not_finite_is_named(
    tmp_path: Path, teacher: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "broken"
    model = AutoModelForSequenceClassification.from_pretrained(teacher)
    tokenizer = AutoTokenizer.from_pretrained(teacher)
    [token] = tokenizer("graph", add_special_tokens=False)["input_ids"]
    with torch.no_grad():
        model.bert.embeddings.word_embeddings.weight[token] = float("nan")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    good = {"query": {"content": "tree"}, "items": [{"content": "heap"}]}
    bad = {"query": {"content": "tree"}, "items": [{"content": "heap"}, {"content": "graph"}]}
    data = tmp_path / "train.jsonl"
    data.write_text(f"{json.dumps(good)}\n\n{json.dumps(bad)}\n")
    output = tmp_path / "taught.jsonl"
    error = failure(capsys, "--input", data, "--output", output, "--model", folder)
    assert f"{data}, line 3: " in error
    assert "items[1] the score nan" in error
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken", "train.jsonl"]


def test_models_that_are_no_cross_encoders_are_refused(
    tmp_path: Path, data: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "taught.jsonl"
    base = ("--input", data, "--output", output, "--model")
    bare = make_cross_encoder(tmp_path / "bare", bare=True)
    error = failure(capsys, *base, bare)
    assert f"{bare} is no cross-encoder" in error
    assert "lacks the weights classifier.bias, classifier.weight" in error
    three = make_cross_encoder(tmp_path / "three", 3)
    assert "has 3 labels" in failure(capsys, *base, three)
    assert "is no cross-encoder" in failure(capsys, *base, tiny_model)
    assert "nowhere" in failure(capsys, *base, tmp_path / "nowhere")
    (bare / "model.safetensors").write_bytes(b"no weights")
    assert "is damaged" in failure(capsys, *base, bare)
    assert not output.exists()


def test_bad_data_is_named_before_the_model_is_loaded(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with open(data, "a") as file:
        file.write('{"query": {"content": "a"}, "items": [{"content": 3}]}\n')
    output = tmp_path / "taught.jsonl"
    error = failure(capsys, "--input", data, "--output", output, "--model", "nowhere")
    assert f"{data}, line 41: items[0].content is missing or no text" in error
    error = failure(capsys, "--input", data, "--output", tmp_path, "--model", "nowhere")
    assert "is a folder" in error


def test_what_is_the_users_beside_the_output_stays(
    tmp_path: Path, data: Path, teacher: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    building = tmp_path / "taught.jsonl.building"
    building.mkdir()
    (building / "thesis.tex").touch()
    base = ("--input", data, "--output", tmp_path / "taught.jsonl", "--model", teacher)
    for flags in ((), ("--resume",)):
        assert f"{building}, where the scores would gather" in failure(capsys, *base, *flags)
    assert [path.name for path in building.iterdir()] == ["thesis.tex"]
    (building / "thesis.tex").unlink()
    assert teach(*base) == 0
    assert [path.name for path in building.iterdir()] == []  # empty, and the user's


def test_a_second_run_is_refused_while_one_is_at_it(
    tmp_path: Path, data: Path, teacher: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = Workplace(tmp_path / "taught.jsonl.building")
    place.claim()
    base = ("--input", data, "--output", tmp_path / "taught.jsonl", "--model", teacher)
    for flags in ((), ("--resume",)):
        assert "another process gathers its scores" in failure(capsys, *base, *flags)
    place.remove()
    assert teach(*base) == 0


def test_links_devices_and_a_full_disk(
    tmp_path: Path,
    data: Path,
    teacher: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(teaching, "BATCHES_A_CHUNK", 1)
    (tmp_path / "disk").mkdir()
    (tmp_path / "link.jsonl").symlink_to("disk/taught.jsonl")
    base = ("--input", data, "--model", teacher, "--batch-size", 8)
    assert teach(*base, "--output", tmp_path / "link.jsonl") == 0
    whole = (tmp_path / "disk" / "taught.jsonl").read_bytes()
    assert (tmp_path / "link.jsonl").is_symlink()
    assert [path.name for path in (tmp_path / "disk").iterdir()] == ["taught.jsonl"]
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    assert teach(*base, "--output", pipe) == 0
    reader.join(10)
    assert got == [whole]
    assert pipe.is_fifo()
    output = tmp_path / "disk" / "again.jsonl"
    with files_of_at_most(len(whole) // 2):
        assert "(File too large)" in failure(capsys, *base, "--output", output)
    assert teach(*base, "--output", output, "--resume") == 0
    assert output.read_bytes() == whole
    assert sorted(path.name for path in output.parent.iterdir()) == ["again.jsonl", "taught.jsonl"]


def test_help_loads_neither_torch_nor_java() -> None:
    code = (
        "import sys\nfrom hypserini.train.teach.__main__ import build_parser\n"
        "build_parser().format_help()\n"
        "assert not {'torch', 'jnius', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
