"""The packaged matrix is well-formed, whole, and says where each figure stands."""

from __future__ import annotations

import re

import pytest

from hypserini.evaluate.measures import parse_measure
from hypserini.index.__main__ import build_parser as index_parser
from hypserini.reproduce.matrix import TABLES, ReproduceError, load_matrix
from hypserini.reproduce.running import P_MRR
from hypserini.search.command.flags import build_parser as search_parser

MATRIX = load_matrix()
ROWS = list(MATRIX.rows.values())


def test_all_that_rows_name_is_there():
    for row in ROWS:
        assert row.table in TABLES
        assert bool(row.of) != bool(row.task), row.name
        if row.of:
            parts = [MATRIX.rows[name] for name in row.of]
            assert len({part.model for part in parts}) == 1
            assert not any(part.of for part in parts)
        else:
            assert row.search in MATRIX.searches
            assert MATRIX.models[row.model].name or MATRIX.models[row.model].why
            assert MATRIX.tasks[row.task].collection in MATRIX.collections


def test_nothing_is_there_for_no_row():
    tasks = {row.task for row in ROWS} - {""}
    assert set(MATRIX.tasks) == tasks
    assert set(MATRIX.models) == {row.model for row in ROWS} - {""}
    assert set(MATRIX.collections) == {MATRIX.tasks[task].collection for task in tasks}
    assert set(MATRIX.searches) == {row.search for row in ROWS}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_measures_and_sources(row):
    for measure in MATRIX.measures(row):
        assert measure == P_MRR or measure == str(parse_measure(measure))
    for expected in row.expected:
        least, most = (-100, 100) if expected.measure == P_MRR else (0, 1)
        assert least < expected.value < most
        assert 0 < expected.tolerance <= (most - least) / 50
        source = expected.source
        assert re.search(
            r"arXiv 2502\.05364, table \d, row .+, column .+"
            r"|github\.com/.+ at [0-9a-f]{8} .+\.json, key .+"
            r"|python -m hypserini\.reproduce .+",
            source,
        ), source


def test_the_commands_take_the_flags():
    for collection in MATRIX.collections.values():
        index_parser().parse_args(["--collection", collection.collection, *collection.index])
    for row in ROWS:
        if row.task:
            task = MATRIX.tasks[row.task]
            flags = [*task.search, *MATRIX.searches[row.search]]
            search_parser().parse_args(["--topics", task.topics, *flags])


def test_the_papers_tables_are_whole():
    names = set(MATRIX.rows)
    beir = [
        f"{task}-{m}"
        for task in ("trec-covid", "fiqa", "nfcorpus", "dbpedia", "touche")
        for m in ("6-layer", "be-base")
    ]
    in_domain = [
        f"{task}-{m}"
        for task in ("dl19", "dl20", "dl19-and-20", "dev")
        for m in ("2-layer", "4-layer", "6-layer", "8-layer", "be-base")
    ]
    hard = [
        f"{task}-{m}"
        for m in ("6-layer", "be-base")
        for task in (
            "dl-hard",
            "trec-tot",
            "followir-robust04",
            "followir-news21",
            "followir-core17",
        )
    ]
    efficient = [f"dl{year}-6-layer-efficient-{n}" for year in (19, 20) for n in (1, 2)]
    assert names >= {*beir, *in_domain, *hard, *efficient}
    without = {row.name for row in ROWS if row.table == "paper" and not row.expected}
    # A figure is drawn of the depths, and of BE-Base DL'19 and '20 are printed together alone.
    assert without == {
        *(name for name in in_domain if re.search("[248]-layer", name)), "dl19-be-base",
        "dl20-be-base"}  # fmt: skip


def test_tables_1_and_4_agree():
    def figure(name: str) -> float:
        return MATRIX.rows[name].expected[0].value

    both = (43 * figure("dl19-6-layer") + 54 * figure("dl20-6-layer")) / 97
    assert both == pytest.approx(figure("dl19-and-20-6-layer"), abs=0.001)


def test_rows_by_names_patterns_and_tables():
    assert [row.name for row in MATRIX.choose(["fiqa-6-layer", "dl19-6-layer"])] == [
        "dl19-6-layer",
        "fiqa-6-layer",
    ]
    assert {row.name for row in MATRIX.choose(["dl20-*-layer"])} == {
        f"dl20-{depth}-layer" for depth in (2, 4, 6, 8)
    }
    assert all(row.table == "study" for row in MATRIX.choose(["study"]))
    assert len(MATRIX.choose(["all"])) == len(ROWS)
    with pytest.raises(ReproduceError, match="nearest is fiqa-6-layer"):
        MATRIX.choose(["fiqa-6layer"])
