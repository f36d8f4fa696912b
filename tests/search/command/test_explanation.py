"""What the search command tells of its mode, its cost and its misses; calibration; filters."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hypserini import LuceneHypencoderSearcher
from hypserini.formats.topics import load_topics
from hypserini.index.lucene_files import CALIBRATION
from hypserini.index.reader import Index
from hypserini.search.__main__ import main
from hypserini.search.calibrate import calibrate
from hypserini.search.calibration import load_calibration
from hypserini.search.command.explanation import Explanation
from hypserini.search.command.plan import SearchPlan
from hypserini.search.costs import CostReport, losses
from hypserini.search.modes.tangent import TangentOptions
from hypserini.search.ranking import Cost, Hit, Hits


def search(*arguments: object) -> int:
    return main([*map(str, arguments), "--quiet", "--device", "cpu"])


@pytest.fixture
def base(index: Path, topics_file: Path, tmp_path: Path):
    return ("--index", index, "--topics", topics_file, "--output", tmp_path / "run.txt")


def tags(run: Path) -> set[str]:
    return {line.split()[5] for line in run.read_text().splitlines()}


def test_the_tag_names_the_mode(base, tmp_path: Path) -> None:
    for flags, tag in (
        ((), "hypserini-exhaustive"),
        (("--mode", "tangent", "--fetch", 20), "hypserini-tangent"),
        (("--mode", "graph", "--entry", "bm25"), "hypserini-graph"),
        (("--mode", "tangent", "--fetch", 20, "--tag", "mine"), "mine"),
    ):
        assert search(*base, "--hits", 10, *flags) == 0
        assert tags(tmp_path / "run.txt") == {tag}


def test_a_run_has_one_tag_and_mixed_costs_name_all_modes(base, tmp_path: Path) -> None:
    """The tag is settled by the first topic, whatever comes after it."""
    told = Explanation(SearchPlan(mode="tangent"), None, load_topics(base[3]), None)
    modes = ["exhaustive", *["tangent"] * 1000]
    rankings = told.watch((str(i), Hits(cost=Cost(mode=mode))) for i, mode in enumerate(modes))
    assert {told.tag for _ in rankings} == {"hypserini-exhaustive"}
    report = CostReport()
    for mode in modes:
        report.add(Cost(mode=mode))
    assert next(report.lines()) == "cost a query (exhaustive and tangent, 1,001 queries)"


def test_a_run_that_begins_with_an_empty_topic_is_named_by_its_mode(
    base, index: Path, topics: dict[str, str], tmp_path: Path
) -> None:
    run = tmp_path / "given.txt"
    run.write_text("".join(f"{qid} Q0 doc0007 1 1.0 x\n" for qid in list(topics)[1:]))
    assert search(*base, "--rerank-run", run) == 0
    assert tags(tmp_path / "run.txt") == {"hypserini-rerank"}


def test_costs_and_misses_are_printed(base, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ("--mode", "tangent", "--fetch", 20, "--rounds", 2, "--hits", 100)
    assert search(*base, *flags, "--explain-cost", "--check", 5) == 0
    printed = capsys.readouterr().out
    assert "tangent, 10 queries" in printed
    assert "q-net evaluations       88.0" in printed
    assert "5 topics" in printed
    assert "overlap@10 " in printed
    assert "overlap@100 " in printed
    assert "overlap@1000" not in printed


def test_losses_count_what_was_missed_and_forgive_ties() -> None:
    exact = {"1": Hits(Hit(f"d{i}", 10.0 - min(i, 9)) for i in range(12))}
    found = {"1": Hits([*exact["1"][:7], Hit("d11", 1.0), Hit("x", 0.5), Hit("y", 0.0)])}
    (loss,) = losses(found, exact, 10)
    assert (loss.depth, loss.overlap, loss.worst) == (10, 0.8, 0.8)
    assert loss.score_lost == pytest.approx((3 + 2 + 1 - 1.5) / 10)


def test_a_filter_from_the_command_line(base, collection: Path, tmp_path: Path) -> None:
    documents = [json.loads(line) for line in collection.read_text().splitlines()]
    passing = {d["id"] for d in documents if "beam" in d["contents"].split()}
    for mode in ("exhaustive", "tangent", "graph"):
        assert search(*base, "--mode", mode, "--filter", "contents:beam") == 0
        rows = [line.split() for line in (tmp_path / "run.txt").read_text().splitlines()]
        assert {row[2] for row in rows} == passing
    listed = tmp_path / "docids"
    listed.write_text("doc0007\ndoc0300\nnobody\n")
    assert search(*base, "--filter", listed) == 0
    rows = [line.split() for line in (tmp_path / "run.txt").read_text().splitlines()]
    assert {row[2] for row in rows} == {"doc0007", "doc0300"}


def test_calibration_is_kept_with_the_index_and_used(
    base, index: Path, topics: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        flags = ("--mode", "tangent", "--hits", 5)
        assert search(*base, *flags, "--target-overlap", 0.6) == 0
        assert "kept with the index" in capsys.readouterr().out
        with Index(index) as opened:  # Lucene opens it as before
            assert opened.num_docs == 400
        with LuceneHypencoderSearcher(index, device="cpu", mode="tangent") as searcher:
            kept = load_calibration(searcher.index, 3)
            assert kept is not None
            assert kept.overlap >= kept.target == 0.6
            assert load_calibration(searcher.index, 6) is None
            for hits in searcher.batch_search(list(topics.values()), list(topics), 5).values():
                assert hits.cost.evaluations <= 48 + kept.fetch * kept.rounds
            dear = TangentOptions(fetch=kept.fetch + 1, rounds=1)
            hits = searcher.search("graph walk", 5, options=dear)
            assert hits.cost.evaluations == 48 + kept.fetch + 1
    finally:
        (index / CALIBRATION).unlink(missing_ok=True)


def test_a_damaged_or_foreign_calibration_is_ignored(
    index: Path, topics: dict[str, str], other_model: Path
) -> None:
    with LuceneHypencoderSearcher(index, device="cpu") as searcher:
        try:
            calibrate(searcher, list(topics.values()), list(topics), 5, 0.5)
            recorded = json.loads((index / CALIBRATION).read_text())
            (index / CALIBRATION).write_text(json.dumps({"another": next(iter(recorded.values()))}))
            assert load_calibration(searcher.index, 5) is None
            (index / CALIBRATION).write_text("{")
            assert load_calibration(searcher.index, 5) is None
        finally:
            (index / CALIBRATION).unlink(missing_ok=True)


def test_flags_that_contradict_are_refused(base, capsys: pytest.CaptureFixture[str]) -> None:
    for flags in (
        ("--mode", "rerank", "--first-stage", "bm25", "--check", 3),
        ("--mode", "graph", "--target-overlap", 0.9),
        ("--filter", "a AND (b"),
    ):
        assert search(*base, *flags) == 2
        assert ": error: " in capsys.readouterr().err
