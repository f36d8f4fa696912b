"""The page that shows two runs side by side."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from processes import piped

from hypserini.compare.__main__ import main as compare
from hypserini.index.writer import IndexWriter

HOSTILE = '<script>alert(1)</script><img src=x onerror=alert(2)> & "quoted"'


class Page(HTMLParser):
    """The elements of a page, and the texts of its summaries and hits."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.addresses: list[str] = []
        self.texts: dict[str, list[str]] = {"summary": [], "li": []}
        self._open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href", "onerror")]
        self._open.append(tag)
        if tag in self.texts:
            self.texts[tag].append("")

    def handle_endtag(self, tag):
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data):
        for tag in self.texts:
            if tag in self._open:
                self.texts[tag][-1] += data


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    runs = {
        "a": [("1", "d1", 3), ("1", "d2", 2), ("1", "d3", 1), ("2", "d1", 2), ("2", "d2", 1)],
        "b": [("1", "d3", 3), ("1", "d1", 2), ("1", "d4", 1), ("2", "d1", 2), ("2", "d2", 1)],
    }
    found = {}
    for name, hits in runs.items():
        found[name] = tmp_path / f"{name}.txt"
        lines = (f"{qid} Q0 {docid} 1 {score} {name}\n" for qid, docid, score in hits)
        found[name].write_text("".join(lines))
    found["qrels"] = tmp_path / "qrels.txt"
    found["qrels"].write_text("1 0 d3 1\n1 0 d2 0\n1 0 d9 1\n2 0 d2 1\n3 0 d1 1\n")
    found["topics"] = tmp_path / "topics.tsv"
    found["topics"].write_text(f"1\t{HOSTILE}\n2\ta plain query\n3\tanother\n")
    found["index"] = tmp_path / "index"
    with IndexWriter(found["index"], dimension=2) as writer:
        raws = [json.dumps({"contents": f"{n} text"}) for n in range(3)]
        raws.append(json.dumps({"contents": HOSTILE}))
        writer.add(["d1", "d2", "d4", "d3"], np.ones((4, 2), np.float32), None, raws)
    return found


def page(files: dict[str, Path], *flags: str) -> tuple[str, Page]:
    output = files["a"].with_name("report.html")
    given = ["--runs", str(files["a"]), str(files["b"]), "--qrels", str(files["qrels"])]
    assert compare([*given, "--output", str(output), *flags]) == 0
    text = output.read_text(encoding="utf-8")
    return text, Page(text)


def test_topics_that_differ_most_come_first_with_both_rankings(files, capsys) -> None:
    text, found = page(files, "--measures", "RR", "nDCG@10")
    assert "RR 0.2778 and 0.5000, difference +0.2222" in capsys.readouterr().out
    first, second, third = (" ".join(one.split()) for one in found.texts["summary"])
    assert first.startswith(
        "+0.6667 1 (0.3333 and 1.0000; relevant documents found by one alone: 0"
    )
    assert {second[:9], third[:9]} == {"+0.0000 2", "+0.0000 3"}
    hits = [" ".join(hit.split()) for hit in found.texts["li"]]
    assert hits[:3] == [
        "1. d1 3 · ↑1",
        "2. d2 2 · grade 0 · not in the other",
        "3. d3 1 · grade 1 · ↓2",
    ]
    assert hits[3:6] == ["1. d3 3 · grade 1 · ↑2", "2. d1 2 · ↓1", "3. d4 1 · not in the other"]
    assert text.count("<rect") == 3


def test_what_documents_and_queries_hold_stays_text(files) -> None:
    text, found = page(files, "--index", str(files["index"]), "--topics", str(files["topics"]))
    assert "script" not in found.elements
    assert "img" not in found.elements
    assert found.addresses == []
    assert HOSTILE in found.texts["summary"][0]
    assert any(HOSTILE in hit for hit in found.texts["li"])
    assert not re.search(r"(https?:)?//", text)
    assert "default-src 'none'" in text


def test_as_many_hits_as_are_wanted(files) -> None:
    _, found = page(files, "--depth", "1")
    assert len(found.texts["li"]) == 2 + 2


@pytest.mark.parametrize("ending", ["svg", "png"])
def test_a_picture_for_a_paper(files, ending: str) -> None:
    pytest.importorskip("matplotlib")
    picture = files["a"].with_name(f"differences.{ending}")
    page(files, "--picture", str(picture))
    start = {"svg": b"<?xml", "png": b"\x89PNG"}[ending]
    assert picture.read_bytes().startswith(start)


def test_overlap_against_cost(files, index, topics_file, capsys) -> None:
    pytest.importorskip("matplotlib")
    picture = files["a"].with_name("costs.svg")
    flags = ["--index", str(index), "--topics", str(topics_file)]
    page(files, *flags, "--cost-picture", str(picture))
    said = [line.split() for line in capsys.readouterr().out.splitlines()]
    rows = [row for row in said if row[0] in ("fetch", "exhaustive")]
    assert rows[-1][:3] == ["exhaustive", "1.000", "400"]
    scored = [int(row[-2]) for row in rows]
    assert scored[0] < scored[-2] <= 400
    assert 0 < float(rows[0][2]) <= float(rows[-2][2]) <= 1
    drawn = picture.read_text()
    assert "overlap@10" in drawn
    assert "documents scored a query" in drawn


def test_what_is_missing_is_said_and_nothing_is_written(files, capsys) -> None:
    output = files["a"].with_name("report.html")
    base = ["--qrels", str(files["qrels"]), "--output", str(output)]
    runs = ["--runs", str(files["a"]), str(files["b"])]
    for flags, said in (
        (["--runs", str(files["a"]), "none.txt"], "none.txt"),
        (["--runs", str(files["a"]), str(files["a"])], "the same run is given twice"),
        ([*runs, "--index", "nowhere"], "there is no index at nowhere"),
        ([*runs, "--picture", "p.txt"], "p.txt is no picture"),
        ([*runs, "--measures", "nDGC@10"], "unknown measure"),
        ([*runs, "--cost-picture", "p.svg"], "--cost-picture belongs to comparisons with --index"),
    ):
        assert compare([*base, *flags]) == 2
        assert said in capsys.readouterr().err
        assert not output.exists()


def test_runs_may_come_from_pipes(files) -> None:
    files |= {name: piped(files[name]) for name in ("a", "b")}
    text, _ = page(files)
    assert "a.pipe" in text
