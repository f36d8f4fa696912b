"""p-MRR against its definition, worked out by hand."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from hypserini.errors import RunError
from hypserini.evaluate import mean, p_mrr
from hypserini.evaluate.__main__ import main

ORIGINAL = {"q1": {"a": 1, "b": 2, "c": 0}, "q2": {"a": 1, "x": 1}, "q3": {"a": 1}}
# No longer relevant: b of q1, and both of q2, of which x is not judged any more.
CHANGED = {"q1": {"a": 1, "b": 0, "c": 1}, "q2": {"a": 0}, "q3": {"a": 2}}


def ranking(*docids: str) -> dict[str, float]:
    return {docid: -float(rank) for rank, docid in enumerate(docids)}


def follow(before: list[str], after: list[str]) -> float:
    qrels = [{"q": {"d": 1}}, {"q": {"d": 0}}]
    return p_mrr(*qrels, {"q": ranking(*before)}, {"q": ranking(*after)})["q"]


@pytest.mark.parametrize(
    ("before", "after", "value"),
    [
        (1, 1, 0.0),  # it stays
        (1, 2, 100 * (1 - (1 / 2) / (1 / 1))),  # it fell from the top: rightly
        (1, 4, 75.0),
        (2, 4, 50.0),
        (4, 1, 100 * ((1 / 4) / (1 / 1) - 1)),  # it rose to the top: wrongly
        (4, 2, -50.0),
        (3, 2, 100 * ((1 / 3) / (1 / 2) - 1)),
    ],
)
def test_one_document_by_hand(before, after, value):
    others = ["n1", "n2", "n3"]
    rankings = [[*others[: rank - 1], "d", *others[rank - 1 :]] for rank in (before, after)]
    assert follow(*rankings) == pytest.approx(value)
    if before != after:  # the two cases of the definition mirror each other
        assert follow(*reversed(rankings)) == pytest.approx(-value)


def test_what_is_not_ranked_stands_after_the_last():
    assert follow(["d", "n1", "n2"], ["n1", "n2"]) == pytest.approx(100 * (1 - 1 / 3))
    assert follow(["n1"], ["n1", "d"]) == pytest.approx(0)


def test_a_topic_is_the_mean_of_its_documents_and_all_topics_count_alike():
    before = {qid: ranking("a", "b", "x", "n") for qid in ORIGINAL}
    after = {
        "q1": ranking("a", "n", "x", "b"),  # b from 2 to 4
        "q2": ranking("x", "n", "a", "b"),  # a from 1 to 3, x from 3 to 1
        "q3": ranking("n", "a"),  # its relevance did not change
    }
    values = p_mrr(ORIGINAL, CHANGED, before, after)
    assert values == pytest.approx({"q1": 50.0, "q2": 100 * (2 / 3 - 2 / 3) / 2})
    assert mean(values) == pytest.approx(25.0)


def test_topics_that_a_run_lacks_are_told(caplog):
    run = {"q1": ranking("b")}
    with caplog.at_level(logging.WARNING):
        assert p_mrr(ORIGINAL, CHANGED, run, run) == {"q1": 0.0}
    assert "q2" in caplog.text
    with pytest.raises(RunError, match="none of the 2 topics"):
        p_mrr(ORIGINAL, CHANGED, {"q9": {"a": 1.0}}, run)
    with pytest.raises(RunError, match="two qrels that differ"):
        p_mrr(ORIGINAL, ORIGINAL, run, run)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    texts = {
        "qrels": "q 0 d 1\nq 0 e 1\n",
        "changed-qrels": "q 0 d 0\nq 0 e 1\n",
        "run": "q Q0 d 1 2 og\nq Q0 e 2 1 og\n",
        "changed-run": "q Q0 e 1 2 new\nq Q0 d 2 1 new\n",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    return {name: str(tmp_path / name) for name in texts}


def test_the_command(files, capsys):
    flags = [word for name, path in files.items() for word in (f"--{name}", path)]
    assert main([*flags, "--measures", "AP"]) == 0
    assert "p-MRR +50.00 (of 100)" in capsys.readouterr().out
    assert main([*flags, "--json", "--per-query"]) == 0
    assert json.loads(capsys.readouterr().out)["p-MRR"] == {"mean": 50.0, "topics": {"q": 50.0}}


@pytest.mark.parametrize("left_out", ["changed-qrels", "changed-run"])
def test_half_of_what_it_needs(files, capsys, left_out):
    flags = [
        word for name, path in files.items() if name != left_out for word in (f"--{name}", path)
    ]
    assert main(flags) == 2
    assert "needs both --changed-qrels and --changed-run" in capsys.readouterr().err
