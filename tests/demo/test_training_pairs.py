"""What the bundled model may learn from."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

from hypserini.demo.training_pairs import (
    make_pairs,
    one_per_summary,
    without_leaks,
    write_training_data,
)
from hypserini.pydocs.docstrings import Docstring

REST = "Here is a long text about number {}. It says many things in a row. Nothing is left out."


def _docstring(docid: str, summary: str, rest: str) -> Docstring:
    return Docstring(docid, docid.split(".")[0], "(x)", summary, rest)


def _many(count: int, package: str = "learned") -> list[Docstring]:
    return [
        _docstring(f"{package}.f{n}", f"Do the thing with the number {n} now.", REST.format(n))
        for n in range(count)
    ]


def test_nothing_of_the_held_out_packages_is_learned() -> None:
    held_out = _docstring("pandas.merge", "Merge two frames into one.", REST.format(1))
    validation = _docstring("networkx.paths", "Find the shortest paths.", "Between all nodes.")
    copies = [
        _docstring("copier.summary", "merge two frames, into ONE", "Something else entirely."),
        _docstring("copier.rest", "Another summary.", REST.format(1)),
        _docstring("copier.swapped", REST.format(1), "Some rest."),
        _docstring("copier.changed", "Another one.", REST.format(1) + " And more."),
    ]
    own = _docstring("copier.own", "A summary of its own.", "And an explanation of its own.")
    assert without_leaks([held_out, validation, *copies, own]) == [own]


def test_one_document_of_each_summary() -> None:
    documents = [*_many(3), _docstring("z.f", "do the thing with the number 1, now", "Other.")]
    assert one_per_summary(documents) == documents[:3]


def test_pairs_are_the_same_for_a_seed_and_keep_packages_together() -> None:
    documents = _many(100, "one") + _many(100, "two")
    pairs = list(make_pairs(documents, 1, seed=1, batch=32, group=16))
    assert pairs == list(make_pairs(documents, 1, seed=1, batch=32, group=16))
    assert pairs != list(make_pairs(documents, 1, seed=2, batch=32, group=16))
    assert len({p.docid for p in pairs}) == len(pairs) > 180
    changes = sum(a.package != b.package for a, b in pairwise(pairs))
    assert changes < 20  # if nothing kept them together, every second pair
    twice = list(make_pairs(documents, 2, seed=1, batch=32, group=16))
    assert twice[: len(pairs)] == pairs
    assert len(twice) > 360


def test_a_query_that_is_the_summary_is_not_in_its_document() -> None:
    pairs = list(make_pairs(_many(300), 1, seed=3))
    exact = [p for p in pairs if p.query.startswith("Do the thing")]
    sentences = [p for p in pairs if p.query in ("It says many things in a row.",)]
    assert len(exact) > 100
    assert sentences
    for pair in [*exact, *sentences]:
        assert pair.query not in pair.document


def test_the_training_data_are_what_the_trainer_reads(tmp_path: Path) -> None:
    from hypserini.train.data.opening import training_data
    from hypserini.train.recipe.config import DataSection

    path = tmp_path / "train.jsonl"
    pairs = list(make_pairs(_many(20), 1, seed=1))
    assert write_training_data(pairs, path) == len(pairs)
    section = DataSection(training_data_jsonl=str(path))
    data = training_data(section, labels=False, seed=0, source="a test")
    assert [data[n].query for n in range(len(data))] == [p.query for p in pairs]
    assert json.loads(path.read_text().splitlines()[0])["items"][0]["type"] == "positive"
