"""What a notebook draws of hits and explanations: well-formed HTML that says what they say."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

from hypserini import LuceneHypencoderSearcher
from hypserini.search.explain import ScoreExplanation, Word, Words
from hypserini.search.ranking import LETTERS, ROWS, Cost, Hit, Hits


class Reader(HTMLParser):
    """Reads cells and text, and checks that every element is closed in its turn."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.cells: list[str] = []
        self.text = ""
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attrs) -> None:
        if tag != "br":
            self.open.append(tag)
        if tag == "td":
            self.cells.append("")

    def handle_endtag(self, tag) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data) -> None:
        self.text += data
        if "td" in self.open:
            self.cells[-1] += data


def test_hits_are_a_table_with_their_cost() -> None:
    hits = Hits([Hit("<b>1", 2.0), Hit("2", 1.23456)], Cost(7, 1, 1.0, 2.0, 3.0, "tangent"))
    read = Reader(hits._repr_html_())
    assert read.cells == ["1", "<b>1", "2.0000", "2", "2", "1.2346"]
    assert read.text.endswith("2 hits, tangent: 7 scored in 6.0 ms")


def test_many_hits_are_counted_and_few_drawn() -> None:
    hits = Hits(Hit(str(number), -float(number)) for number in range(1000))
    read = Reader(hits._repr_html_())
    assert len(read.cells) == 3 * ROWS
    assert read.text.endswith(f"1,000 hits, {ROWS} of them shown")


def test_texts_stand_beside_the_hits(index: Path) -> None:
    with LuceneHypencoderSearcher(index, device="cpu") as searcher:
        hits = searcher.search("graph walk", 3)
        table = hits.with_texts(searcher.contents)
        read = Reader(table._repr_html_())
        texts = [searcher.contents(hit.docid) for hit in hits]
        printed = repr(table).splitlines()
    assert [text.rstrip("…") for text in read.cells[3::4]] == [
        text if len(text) <= LETTERS else text[: LETTERS - 1] for text in texts
    ]
    assert printed[0].split("\t")[:2] == ["1", hits[0].docid]
    assert "exhaustive: 400 scored" in read.text


def test_a_missing_text_is_empty_and_markup_in_one_is_text() -> None:
    hits = Hits([Hit("a", 1.0), Hit("b", 0.5)])
    read = Reader(hits.with_texts({"a": "<script>x</script> & more"}.get)._repr_html_())
    assert read.cells[3::4] == ["<script>x</script> & more", ""]


def test_an_explanation_colours_words_by_what_they_add() -> None:
    words = Words(0.5, [Word("up", 2.0), Word("<down>", -1.0), Word("no", 0.0)], 0.0)
    explanation = ScoreExplanation("d1", 1.5, 1.0, 0.5, None, words)
    html = explanation._repr_html_()
    read = Reader(html)
    assert read.text.startswith("d1 1.5000 = 1.0000 linear +0.5000 bent")
    assert "document, 0.5000 without words:" in read.text
    assert "query" not in read.text
    shades = re.findall(r'rgba\((\d+), \d+, \d+, ([\d.]+)\)" title="([-+.\d]+)"', html)
    assert shades == [
        ("46", "0.60", "+2.0000"),
        ("219", "0.30", "-1.0000"),
        ("219", "0.00", "+0.0000"),
    ]


def test_progress_bars_are_those_that_notebooks_draw() -> None:
    package = Path(__file__).resolve().parents[2] / "hypserini"
    plain = r"^\s*(?:from tqdm import|import tqdm\b)"
    found = [p for p in package.rglob("*.py") if re.search(plain, p.read_text(), re.MULTILINE)]
    assert found == []
