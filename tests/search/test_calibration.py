"""What calibrating leaves with an index, and what is made of what lies there."""

from __future__ import annotations

import json
import os
import shutil
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from hypserini import LuceneHypencoderSearcher
from hypserini.index.lucene_files import CALIBRATION
from hypserini.search.calibrate import calibrate
from hypserini.search.calibration import Calibration, load_calibration, record
from hypserini.search.modes.tangent import TangentOptions

GOOD = {
    **{"k": 5, "fetch": 64, "rounds": 3, "ef": 100, "target": 0.9, "overlap": 0.95},
    **{"evaluations": 240.0, "topics": 10, "vectors": 400},
}


@pytest.fixture(scope="module")
def query(index: Path):
    """The q-net of a query: with it no test has to load the model."""
    with LuceneHypencoderSearcher(index, device="cpu") as searcher:
        return searcher.encoder.encode(["graph walk"])[0]


@pytest.fixture
def searcher(index: Path, tmp_path: Path):
    """A searcher of a copy of the index, which it may write to."""
    copy = shutil.copytree(index, tmp_path / "index")
    with LuceneHypencoderSearcher(copy, device="cpu", mode="tangent") as searcher:
        yield searcher


def write(searcher: LuceneHypencoderSearcher, content: object) -> None:
    text = content if isinstance(content, str) else json.dumps(content)
    (searcher.index.path / CALIBRATION).write_text(text, encoding="utf-8")


def test_what_is_recorded_is_read(searcher) -> None:
    fingerprint = searcher.metadata.fingerprint
    write(searcher, {fingerprint: {"5": GOOD}, "another model": {"9": {**GOOD, "k": 9}}})
    assert load_calibration(searcher.index, 4) == Calibration(**GOOD)
    assert load_calibration(searcher.index, 6) is None
    assert record(searcher.index, Calibration(**{**GOOD, "k": 7}))
    assert load_calibration(searcher.index, 6).k == 7
    assert load_calibration(searcher.index, 5).k == 5
    assert "another model" in json.loads((searcher.index.path / CALIBRATION).read_text())


def wrong(**values: object) -> dict[str, object]:
    return {"5": {**GOOD, **values}}


@pytest.mark.parametrize(
    "calibrations",
    [
        [],
        "x",
        None,
        7,
        {"5": []},
        {"5": None},
        {"5": {"k": 5}},
        wrong(k="5"),
        wrong(k=0),
        wrong(k=True),
        wrong(k=5.5),
        wrong(fetch=-64),
        wrong(fetch=1_000_000_000),
        wrong(ef=1_000_000_000),
        wrong(ef=10**30),
        wrong(rounds=0),
        wrong(overlap=1.5),
        wrong(target=float("nan")),
        wrong(evaluations=float("inf")),
        wrong(evaluations=None),
        wrong(vectors=[400]),
        wrong(unheard_of=1),
    ],
)
def test_what_is_damaged_is_ignored_with_one_warning(searcher, query, calibrations, caplog) -> None:
    before = searcher.search(query, 5)
    write(searcher, {searcher.metadata.fingerprint: calibrations})
    assert load_calibration(searcher.index, 5) is None
    for mode in ("tangent", "auto"):
        found = searcher.search(query, 5, mode=mode)
        assert [hit.docid for hit in found][:1] == [hit.docid for hit in before][:1]
    [warning] = [r for r in caplog.records if CALIBRATION in r.getMessage()]
    assert "is not what calibrating writes" in warning.getMessage()


@pytest.mark.parametrize("content", ["", "[]", "7", "{", "[" * 100_000, '{"a": 1}', "\ud800"])
def test_any_other_file_of_that_name_is_ignored(searcher, query, content, caplog) -> None:
    (searcher.index.path / CALIBRATION).write_bytes(content.encode("utf-8", "surrogatepass"))
    assert len(searcher.search(query, 5)) == 5
    assert "is ignored" in caplog.text


def test_a_folder_of_that_name_is_ignored(searcher, query, caplog) -> None:
    (searcher.index.path / CALIBRATION).mkdir()
    assert len(searcher.search(query, 5)) == 5
    assert not record(searcher.index, Calibration(**GOOD))
    assert "cannot be kept with the index" in caplog.text


def searched(searcher, monkeypatch) -> list[TangentOptions]:
    """The options that tangent searches get from now on."""
    from hypserini.search.modes import table

    seen: list[TangentOptions] = []
    mode = table.MODES["tangent"]

    def search(index, batch, k, scorer, options, filter):
        seen.append(options)
        return mode.search(index, batch, k, scorer, options, filter)

    monkeypatch.setitem(table.MODES, "tangent", table.Mode(mode.options, search))
    return seen


def test_an_index_that_cannot_be_written_to_is_calibrated_for_this_searcher(
    searcher, query, topics, monkeypatch, caplog
) -> None:
    folder = searcher.index.path
    if os.geteuid() == 0:  # who may write everywhere
        from hypserini.errors import OutputError
        from hypserini.index import beside

        def refuse(path):
            raise OutputError(f"cannot write {path}") from PermissionError(13, "Permission denied")

        monkeypatch.setattr(beside, "atomic_output", refuse)
    else:
        folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        chosen, kept = calibrate(searcher, list(topics.values()), list(topics), 5, 0.5)
    finally:
        folder.chmod(stat.S_IRWXU)
    assert not kept
    assert not (folder / CALIBRATION).exists()
    assert "cannot be kept with the index" in caplog.text
    assert "Permission denied" in caplog.text
    seen = searched(searcher, monkeypatch)
    searcher.search(query, 5)
    assert (seen[0].fetch, seen[0].ef) == (chosen.fetch, chosen.ef)
    searcher.search(query, 6)  # for so many it was not calibrated
    assert (seen[1].fetch, seen[1].ef) == (None, None)


def test_a_calibration_under_a_filter_is_for_this_searcher_alone(searcher, topics) -> None:
    queries, qids = list(topics.values()), list(topics)
    _, kept = calibrate(searcher, queries, qids, 5, 0.5, filter="contents:index")
    assert not kept
    assert searcher.calibration is not None
    assert load_calibration(searcher.index, 5) is None


def test_where_all_documents_would_be_scored_there_is_nothing_to_calibrate(
    searcher, topics
) -> None:
    queries, qids = list(topics.values()), list(topics)
    assert calibrate(searcher, queries, qids, 3_000_000_000, 0.9) == (None, False)
    assert searcher.calibration is None
    assert not (searcher.index.path / CALIBRATION).exists()


def test_an_overlap_is_not_taken_from_a_search_of_all_documents(
    searcher, topics, monkeypatch, caplog
) -> None:
    from hypserini.search import calibrate as module

    measure = module.loss_at  # as if no tangent search were good; scoring all documents is
    monkeypatch.setattr(module, "loss_at", lambda *args: replace(measure(*args), overlap=0.5))
    chosen, _ = calibrate(searcher, list(topics.values()), list(topics), 5, 0.9)
    assert chosen.overlap == 0.5
    assert chosen.evaluations < 400
    assert "no setting that was tried reaches an overlap of 0.9" in caplog.text


def test_what_is_found_is_kept(searcher, topics) -> None:
    chosen, kept = calibrate(searcher, list(topics.values()), list(topics), 5, 0.5)
    assert kept
    assert load_calibration(searcher.index, 5) == chosen
    assert max(chosen.fetch, chosen.ef) <= chosen.vectors == 400
