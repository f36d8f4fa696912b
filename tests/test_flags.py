"""Flags of every command that would be ignored, or are out of range: refused, and at once.

Those of the search command: search/command/test_making.py.
"""

from __future__ import annotations

from importlib import import_module

import pytest

INDEX = "index --collection c --index i"
VECTORS = "index --vectors-from v --index i"
TOPICS = "encode --topics t --output o"
MINE = "train.mine --index i --output o"
EXAMPLES = f"{MINE} --input e"
QRELS = f"{MINE} --topics t --qrels q"
TEACH = "train.teach --input e --output o --model m"


def status(command: str) -> int:
    name, *flags = command.split()
    try:
        return import_module(f"hypserini.{name}.__main__").main(flags)
    except SystemExit as ended:  # argparse ends so
        return int(ended.code or 0)


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("command", "ignored"),
    [
        (VECTORS, "collection c"),
        (VECTORS, "collection-path c"),
        (VECTORS, "fields title"),
        (VECTORS, "max-length 512"),
        (VECTORS, "batch-size 64"),
        (INDEX, "collection-path c"),
        (f"{INDEX} --vectors flat", "M 16"),
        (f"{INDEX} --vectors flat", "ef-construction 100"),
        (TOPICS, "format npy"),
        (TOPICS, "fields title"),
        (TOPICS, "shard-id 0"),
        (TOPICS, "shard-num 1"),
        (TOPICS, "doc-prefix x"),
        (EXAMPLES, "model m"),
        (EXAMPLES, "max-length 32"),
        (EXAMPLES, "batch-size 16"),
        (f"{EXAMPLES} --mode auto", "k1 0.9 --b 0.4"),
        (EXAMPLES, "min-grade 1"),
        (QRELS, "positive-filter-type first"),
        (QRELS, "positive-type positive"),
        (QRELS, "replace"),
        ("demo collection", "model m"),
        ("demo collection", "index i"),
        ("demo collection", "question q"),
    ],
)
def test_what_would_be_ignored_is_refused(command: str, ignored: str, capsys) -> None:
    assert status(f"{command} --{ignored}") == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert f"error: --{ignored.split()[0]} belongs to" in said


def test_a_label_is_refused_of_a_model_that_has_one(tmp_path, monkeypatch, capsys) -> None:
    from hypserini.train.teach import cross_encoder

    class OneLabel:
        num_labels = 1
        name = fingerprint = ""
        max_length = batch_size = 1

    monkeypatch.setattr(cross_encoder, "CrossEncoder", lambda *args, **kwargs: OneLabel())
    example = '{"query": {"content": "q"}, "items": [{"content": "d"}]}\n'
    (tmp_path / "e").write_text(example)
    assert status(f"{TEACH} --positive-label 1") == 2
    assert "--positive-label belongs to models of two labels" in capsys.readouterr().err


NO_COUNTS = ("0", "-1", "1.5", "nan", "x")


@pytest.mark.parametrize(
    ("command", "flag", "values"),
    [
        (INDEX, "max-length", NO_COUNTS),
        (INDEX, "batch-size", NO_COUNTS),
        (INDEX, "threads", (*NO_COUNTS, "3000000000")),
        (INDEX, "M", (*NO_COUNTS, "513", "3000000000")),
        (INDEX, "ef-construction", (*NO_COUNTS, "3201", "3000000000")),
        (INDEX, "commit-every", ("-1", "nan", "inf", "1e999", "x")),
        (TOPICS, "max-length", NO_COUNTS),
        (TOPICS, "batch-size", NO_COUNTS),
        ("encode --collection c --output o", "shard-id", ("-1", "1.5", "x")),
        ("encode --collection c --output o", "shard-num", NO_COUNTS),
        (EXAMPLES, "negatives", NO_COUNTS),
        (EXAMPLES, "depth", NO_COUNTS),
        (EXAMPLES, "skip-top", ("-1", "0.5", "x")),
        (EXAMPLES, "margin", ("-1", "nan", "inf", "x")),
        (EXAMPLES, "max-score-ratio", ("-1", "nan", "inf")),
        (EXAMPLES, "seed", ("-1", "4294967296", "9" * 30)),
        (EXAMPLES, "k1", ("-1", "nan", "1e39")),
        (EXAMPLES, "b", ("-0.1", "2", "nan")),
        (EXAMPLES, "threads", (*NO_COUNTS, "100000")),
        (QRELS, "min-grade", NO_COUNTS),
        (TEACH, "batch-size", NO_COUNTS),
        (TEACH, "max-length", NO_COUNTS),
        ("demo", "documents", NO_COUNTS),
    ],
)
def test_numbers_out_of_range_are_refused(command: str, flag: str, values, capsys) -> None:
    for value in values:
        assert status(f"{command} --{flag} {value}") == 2, value
        assert f"argument --{flag}" in capsys.readouterr().err
