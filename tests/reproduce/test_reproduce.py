"""The command: its list, its faults, and its exit statuses."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from hypserini.reproduce.__main__ import main


@pytest.fixture(autouse=True)
def somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    # Nothing of this may begin to download, wherever it runs.
    monkeypatch.setitem(sys.modules, "ir_datasets", None)


def test_list(capsys):
    assert main(["--list"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"dl19-and-20-6-layer +nDCG@10 0.736, RR\(rel=2\) 0.885", out)
    assert re.search(r"dev-2-layer +RR@10 -, R@1000 -", out)
    assert main(["--list", "dl-hard-*"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_what_cannot_be_had_is_one_sentence_a_row(in_process, capsys, collection):
    rows = ["dl19-6-layer", "dl20-6-layer", "dl19-and-20-6-layer", "dev-be-base", "fiqa-6-layer"]
    assert main(rows) == 2
    out = capsys.readouterr().out
    for row in rows:
        (line,) = [line for line in out.splitlines() if line.startswith(f"{row}: ")]
        assert line.startswith(f"{row}: not run: ")
        assert line.endswith(".")
    assert "--model be-base=FOLDER" in out
    assert len(in_process) == 2  # what failed for one row is not tried again for another
    markdown = Path("reproduction/report.md").read_text()
    assert "5 rows not run" in markdown
    assert "arXiv 2502.05364, table 2, row FiQA" in markdown

    assert main(["dl19-6-layer", "--collection", f"msmarco-v1-passage={collection}"]) == 2
    assert "hypencoder.6_layer is neither a folder nor in the" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["nothing"], "no row is called 'nothing'"),
        (["--model", "6-layer="], "give a folder or a name after the ="),
        (["--model", "a", "--model", "b"], "a is already for all rows"),
        (["--model", "a", "--model", "6-layer=b"], "others are named: give either"),
        (["--collection", "x=y"], "give NAME=PATH, of msmarco-v1-passage"),
        (["--beir", "nowhere"], "nowhere has no queries.jsonl"),
        (["--followir", "nowhere"], "nowhere has no corpus.jsonl"),
        (["--beir", "a", "--followir", "b", "--write", "c"], "one --beir or one --followir"),
    ],
)
def test_faults_are_sentences(flags, sentence, capsys):
    assert main(flags) == 2
    assert sentence in capsys.readouterr().err


def test_the_offline_rows(in_process, capsys):
    """The figures of the offline table, by the bundled model."""
    assert main(["paraphrases-*", "--quiet"]) == 0
    out = capsys.readouterr().out
    assert "$ python -m hypserini.reproduce --write reproduction/collections/paraphrases" in out
    assert "2 rows: 6 figures OK, 0 off, 0 without a figure at hand; 0 rows not run" in out
    assert Path("reproduction/report.md").read_text().count("| OK |") == 6
    assert Path("reproduction/report.html").read_text().count('<tr class="ok">') == 6


def test_queries_that_nobody_judged(beir, in_process, capsys):
    (beir / "qrels" / "dev.tsv").write_text("query-id\tcorpus-id\tscore\nnone\tdoc0001\t1\n")
    assert main(["--beir", str(beir), "--split", "dev"]) == 2
    assert "is judged in qrels/dev.tsv" in capsys.readouterr().out


@pytest.mark.slow
def test_the_offline_rows_by_their_own_processes(capfd):
    assert main(["paraphrases-*"]) == 0
    out = capfd.readouterr().out
    assert "2 rows: 6 figures OK" in out
    assert main(["paraphrases-*"]) == 0
    assert "$ python -m hypserini.index" not in capfd.readouterr().out
