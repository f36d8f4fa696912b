"""`python -m hypserini.search` as a user types it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import make_model
from processes import run
from rankings import assert_same_ranking

from hypserini.search.__main__ import main


def search(*arguments: object) -> int:
    return main([*map(str, arguments), "--quiet", "--device", "cpu"])


def failure(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert search(*arguments) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert ": error: " in error
    return error


def read_trec(path: Path) -> dict[str, list[tuple[str, int, float, str]]]:
    run: dict[str, list[tuple[str, int, float, str]]] = {}
    for line in path.read_text().splitlines():
        qid, q0, docid, rank, score, tag = line.split(" ")
        assert q0 == "Q0"
        run.setdefault(qid, []).append((docid, int(rank), float(score), tag))
    return run


def test_a_run_holds_every_topic_ranked(
    tmp_path: Path, index: Path, topics_file: Path, topics: dict[str, str]
) -> None:
    output = tmp_path / "deep" / "run.txt"
    base = ("--index", index, "--topics", topics_file, "--output", output)
    assert search(*base, "--hits", 50, "--tag", "mine") == 0
    run = read_trec(output)
    assert list(run) == list(topics)
    for ranking in run.values():
        assert [rank for _, rank, _, _ in ranking] == list(range(1, 51))
        assert [score for *_, score, _ in ranking] == sorted(
            (score for *_, score, _ in ranking), reverse=True
        )
        assert {tag for *_, tag in ranking} == {"mine"}
        assert len({docid for docid, *_ in ranking}) == 50


def test_the_formats_hold_the_same_ranking(tmp_path: Path, index: Path, topics_file: Path) -> None:
    base = ("--index", index, "--topics", topics_file, "--hits", 5)
    for name in ("trec", "msmarco", "json"):
        assert search(*base, "--output", tmp_path / name, "--output-format", name) == 0
    trec = read_trec(tmp_path / "trec")
    msmarco = [line.split("\t") for line in (tmp_path / "msmarco").read_text().splitlines()]
    expected = [[q, d, str(r)] for q, ranking in trec.items() for d, r, _, _ in ranking]
    assert msmarco == expected
    text = (tmp_path / "json").read_text()
    for _, docid, _ in expected:
        assert docid in text
    assert json.loads(text.splitlines()[0] if text.startswith("{") else text)


def test_the_query_is_removed_and_the_run_stays_full(tmp_path: Path, index: Path) -> None:
    topics = tmp_path / "topics.tsv"
    topics.write_text("doc0005\tgraph walk beam\n")
    base = ("--index", index, "--topics", topics, "--hits", 400)
    assert search(*base, "--output", tmp_path / "with") == 0
    assert search(*base, "--output", tmp_path / "without", "--remove-query") == 0
    everything = [hit[0] for hit in read_trec(tmp_path / "with")["doc0005"]]
    rest = [hit[0] for hit in read_trec(tmp_path / "without")["doc0005"]]
    assert [docid for docid in everything if docid != "doc0005"] == rest
    assert search(*base[:-1], 5, "--output", tmp_path / "five", "--remove-query") == 0
    assert len(read_trec(tmp_path / "five")["doc0005"]) == 5


@pytest.fixture
def saved(tmp_path: Path, topics_file: Path, tiny_model: Path) -> Path:
    """The topics' q-nets."""
    from hypserini.encode.__main__ import main as encode

    folder = tmp_path / "q-nets"
    arguments = ["--model", tiny_model, "--topics", topics_file, "--output", folder]
    assert encode([*map(str, arguments), "--quiet", "--device", "cpu"]) == 0
    return folder


def test_saved_q_nets_rank_as_their_texts(
    tmp_path: Path, index: Path, topics_file: Path, saved: Path
) -> None:
    base = ("--index", index, "--topics", topics_file, "--hits", 30)
    assert search(*base, "--output", tmp_path / "texts") == 0
    assert search(*base, "--output", tmp_path / "saved", "--encoded-queries", saved) == 0
    texts, from_saved = read_trec(tmp_path / "texts"), read_trec(tmp_path / "saved")
    for qid, ranking in texts.items():
        expected = [(docid, score) for docid, _, score, _ in ranking]
        assert_same_ranking([(docid, score) for docid, _, score, _ in from_saved[qid]], expected)


WITHOUT_TRANSFORMERS = """
import sys
from hypserini.search.__main__ import main
status = main(sys.argv[1:])
print(status, "torch" in sys.modules, "transformers" in sys.modules)
"""


def test_saved_q_nets_are_searched_with_without_what_encodes(
    tmp_path: Path, index: Path, topics_file: Path, saved: Path
) -> None:
    flags = ["--index", index, "--topics", topics_file, "--output", tmp_path / "run"]
    done = run(WITHOUT_TRANSFORMERS, *flags, "--encoded-queries", saved, "--quiet")
    assert done.stdout.splitlines()[-1] == "0 True False", done.stderr
    assert read_trec(tmp_path / "run")


def test_q_nets_of_another_model_are_refused(
    tmp_path: Path,
    index: Path,
    topics_file: Path,
    other_model: Path,
    tiny_model: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from hypserini.encode.__main__ import main as encode

    saved = tmp_path / "q-nets"
    arguments = ["--model", other_model, "--topics", topics_file, "--output", saved]
    assert encode([*map(str, arguments), "--quiet", "--device", "cpu"]) == 0
    base = ("--index", index, "--topics", topics_file, "--output", tmp_path / "run")
    error = failure(capsys, *base, "--encoded-queries", saved)
    assert str(other_model) in error
    assert str(tiny_model) in error


def test_one_query_prints_its_hits(index: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert search("--index", index, "--query", "graph walk beam", "--hits", 3) == 0
    printed = capsys.readouterr().out
    assert len([line for line in printed.splitlines() if "doc0" in line]) == 3


def test_bad_input_is_one_clear_sentence(
    tmp_path: Path,
    index: Path,
    topics_file: Path,
    other_model: Path,
    tiny_model: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    output = ("--output", tmp_path / "run.txt")
    base = ("--index", index, "--topics", topics_file)
    error = failure(capsys, "--index", tmp_path / "nowhere", "--topics", topics_file, *output)
    assert "nowhere" in error
    assert "hypserini.index" in error
    error = failure(capsys, "--topics", topics_file, *output)
    assert "--index" in error
    error = failure(capsys, "--index", index, "--topics", "dl19-pasage", *output)
    assert "dl19-passage" in error
    error = failure(capsys, *base, *output, "--model", other_model)
    assert str(other_model) in error
    assert str(tiny_model) in error
    wide = make_model(tmp_path / "wide", dim=64)
    error = failure(capsys, *base, *output, "--model", wide)
    assert "64" in error
    assert "32" in error
    assert not (tmp_path / "run.txt").exists()


def test_an_output_that_cannot_be_written_is_found_before_the_search(
    tmp_path: Path, index: Path, topics_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    base = ("--index", index, "--topics", topics_file, "--model", "nobody/never-loaded")
    error = failure(capsys, *base, "--output", tmp_path / "file" / "run.txt")
    assert str(tmp_path / "file" / "run.txt") in error
    error = failure(capsys, *base, "--output", tmp_path)
    assert str(tmp_path) in error


@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX")
@pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_search_leaves_no_half_run_and_keeps_the_old_one(
    tmp_path: Path, index: Path, sent: signal.Signals, status: int
) -> None:
    topics = tmp_path / "topics.tsv"
    topics.write_text("".join(f"{i}\tgraph walk {i}\n" for i in range(100_000)))
    output = tmp_path / "runs" / "run.txt"
    output.parent.mkdir()
    output.write_text("the old run\n")
    command = [sys.executable, "-m", "hypserini.search", "--index", index, "--topics", topics]
    command += ["--output", output, "--device", "cpu", "--batch-size", "4"]
    with subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 120
        while not any(p.stat().st_size for p in output.parent.glob(".run.txt.*")):
            assert process.poll() is None, "the search ended before it could be interrupted"
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(sent)
        process.communicate(timeout=60)
    assert process.returncode == status
    assert [path.name for path in output.parent.iterdir()] == ["run.txt"]
    assert output.read_text() == "the old run\n"


def test_a_run_on_the_standard_output_is_alone_there(index: Path, topics_file: Path) -> None:
    command = [sys.executable, "-m", "hypserini.search", "--index", str(index), "--quiet"]
    # Not /dev/stdout itself, which a fault here would replace; a pipe's descriptor is the same.
    command += ["--topics", str(topics_file), "--output", "/dev/fd/1", "--device", "cpu"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert {len(line.split()) for line in done.stdout.splitlines()} == {6}
    assert "/dev/fd/1: 10 topics" in done.stderr


def test_runs_of_two_topics_files_have_names_of_their_own(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, qid in (("topics.a.txt", 1), ("topics.b.txt", 2), ("sub/topics.a.txt", 3)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"{qid}\tindex search\n")
        assert search("--index", index, "--topics", name, "--quiet") == 0
    runs = {path.name: set(read_trec(path)) for path in (tmp_path / "runs").iterdir()}
    assert runs == {
        f"{index.name}.a.txt": {"1"},
        f"{index.name}.b.txt": {"2"},
        f"{index.name}.sub.a.txt": {"3"},
    }
    (tmp_path / "topics.a.txt").write_text("9\tindex search\n")
    error = failure(capsys, "--index", index, "--topics", "topics.a.txt")
    assert f"runs/{index.name}.a.txt has topics that are not in topics.a.txt" in error


def test_an_empty_name_of_an_index_and_one_in_the_home_folder(
    index: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "the name of the index is empty" in failure(capsys, "--index", "", "--query", "index")
    monkeypatch.setenv("HOME", str(index.parent))
    assert search("--index", f"~/{index.name}", "--query", "index", "--quiet") == 0
    monkeypatch.chdir(index)
    assert search("--index", ".", "--query", "index", "--quiet") == 0


def test_help_and_import_are_light() -> None:
    code = (
        "import sys, hypserini, hypserini.search.__main__, hypserini.index.__main__; "
        "sys.exit(any(name in sys.modules for name in ('torch', 'jnius', 'transformers')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_index_variable_serves_any_topics(
    tmp_path: Path, index: Path, topics_file: Path, monkeypatch, capsys
) -> None:
    monkeypatch.setenv("HYPSERINI_INDEX", str(index))
    base = ("--topics", topics_file, "--output", tmp_path / "run.txt", "--hits", 2)
    assert search(*base) == 0
    assert search("--query", "graph", "--hits", 2) == 0
    monkeypatch.setenv("HYPSERINI_INDEX", str(tmp_path / "nowhere"))
    assert "nowhere is not there" in failure(capsys, *base)
    assert search(*base, "--index", index) == 0  # which goes before it
    monkeypatch.delenv("HYPSERINI_INDEX")
    assert "name one with --index or $HYPSERINI_INDEX" in failure(capsys, *base)


def test_more_hits_than_documents_are_all_of_them(
    tmp_path: Path, index: Path, topics_file: Path
) -> None:
    run = tmp_path / "run.txt"
    base = ("--index", index, "--topics", topics_file, "--output", run)
    for flags in ((), ("--mode", "graph"), ("--hybrid", "rrf"), ("--check", 3)):
        assert search(*base, "--hits", 3_000_000_000, *flags) == 0
        assert {len(ranking) for ranking in read_trec(run).values()} == {400}


def test_a_damaged_index_is_named_and_no_run_is_left(
    tmp_path: Path, index: Path, topics_file: Path, capsys
) -> None:
    copy = shutil.copytree(index, tmp_path / "copy")
    for file in copy.glob("*.tim"):
        data = file.read_bytes()
        file.write_bytes(data[:60] + b"\xff" * (len(data) - 120) + data[-60:])
    out = tmp_path / "out"
    base = ("--index", copy, "--topics", topics_file, "--output", out / "run.txt")
    for flags in (("--filter", "contents:graph"), ("--first-stage", "bm25"), ("--hybrid", "rrf")):
        said = failure(capsys, *base, *flags)
        assert str(copy) in said
        assert "build the index again" in said
        assert "not a query" not in said
        assert list(out.iterdir()) == []


def test_a_calibration_that_cannot_be_kept_serves_its_search(
    tmp_path: Path, index: Path, topics_file: Path, capsys, caplog
) -> None:
    copy = shutil.copytree(index, tmp_path / "copy")
    (copy / "hypserini-calibration.json").mkdir()  # which no file can replace, root's neither
    base = ("--index", copy, "--topics", topics_file, "--output", tmp_path / "run.txt")
    assert search(*base, "--mode", "tangent", "--target-overlap", 0.5, "--hits", 5) == 0
    assert len(read_trec(tmp_path / "run.txt")) == 10
    assert "cannot be kept with the index" in caplog.text
    assert "; for this search" in capsys.readouterr().out
