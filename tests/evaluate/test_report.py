from __future__ import annotations

import json
import logging
import os
import random

import pytest
from processes import piped

from hypserini.evaluate.__main__ import main


@pytest.fixture
def files(tmp_path):
    """Judgements of 20 topics, and runs `good`, `bad` and `short` (which misses topic 3)."""
    rng = random.Random(2)
    qrels = tmp_path / "qrels.txt"
    qrels.write_text("".join(f"{qid} 0 relevant 1\n" for qid in range(20)))
    for name, best in {"good": 2, "bad": 8, "short": 2}.items():
        lines = []
        for qid in range(20):
            if name == "short" and qid == 3:
                continue
            place = rng.randint(1, best)
            for rank in range(1, 11):
                docid = "relevant" if rank == place else f"d{rank}"
                lines.append(f"{qid} Q0 {docid} {rank} {20 - rank} {name}\n")
        (tmp_path / f"{name}.txt").write_text("".join(lines))
    return tmp_path


def evaluate(files, *arguments: str) -> int:
    return main(["--qrels", str(files / "qrels.txt"), *arguments])


def test_table_of_one_run(files, capsys):
    assert evaluate(files, "--run", str(files / "good.txt")) == 0
    out = capsys.readouterr().out
    assert "means over 20 judged topics" in out
    header, row = [line.split() for line in out.splitlines() if line][1:3]
    assert header == ["nDCG@10", "RR", "R@1000"]
    assert row[0] == "good.txt"
    assert row[3] == "1.0000"
    assert "Difference" not in out


def test_runs_side_by_side_with_tests(files, capsys):
    runs = [str(files / f"{name}.txt") for name in ("bad", "good", "short")]
    assert evaluate(files, "--run", *runs, "--measures", "RR@10", "Success@10") == 0
    out = capsys.readouterr().out
    means = {line.split()[0]: line.split()[1:] for line in out.split("\n\n")[1].splitlines()[1:]}
    assert means["bad.txt"][1] == "1.0000"
    assert means["short.txt"][1] == "0.9500"
    assert means["good.txt"][0].endswith("*")
    assert not means["bad.txt"][0].endswith("*")
    assert "Difference from bad.txt (paired t-test, two-sided, Holm-corrected over 2 runs)" in out
    assert "+0.0000 p=1.0000" in out
    assert "* p < 0.05" in out


def test_the_baseline_may_be_another_run(files, capsys):
    runs = [str(files / "bad.txt"), str(files / "short.txt")]
    assert evaluate(files, "--run", *runs, "--baseline", str(files / "good.txt"), "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["baseline"] == "good.txt"
    assert set(report["runs"]) == {"good.txt", "bad.txt", "short.txt"}
    bad, good = report["runs"]["bad.txt"]["RR"], report["runs"]["good.txt"]["RR"]
    assert bad["difference"] == pytest.approx(bad["mean"] - good["mean"])
    assert bad["difference"] < 0
    assert bad["p"] < 0.01
    assert "p" not in good


def test_missing_topics_count_0_and_are_reported(files, capsys, caplog):
    with caplog.at_level(logging.WARNING):
        assert evaluate(files, "--run", str(files / "short.txt"), "--per-query") == 0
    assert "short.txt misses 1 of 20 judged topics, which count as 0: 3" in caplog.text
    assert "RR\t3\t0.0000" in capsys.readouterr().out.splitlines()


def test_values_topic_by_topic_go_into_a_file(files, capsys):
    path = files / "new" / "topics.tsv"
    runs = [str(files / "good.txt"), str(files / "bad.txt")]
    arguments = ["--run", *runs, "--measures", "RR", "--per-query", str(path)]
    assert evaluate(files, *arguments) == 0
    header, *rows = [line.split("\t") for line in path.read_text().splitlines()]
    assert header == ["measure", "qid", "good.txt", "bad.txt"]
    assert [row[1] for row in rows] == [str(qid) for qid in range(20)]
    means = [line for line in capsys.readouterr().out.splitlines() if line.startswith("good.txt")]
    average = sum(float(row[2]) for row in rows) / 20
    assert float(means[0].split()[1].rstrip("*")) == pytest.approx(average, abs=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--run", "absent.txt"], "the run absent.txt does not exist"),
        (["--run", "{}/good.txt", "{}/good.txt"], "the same run is given twice"),
        (["--run", "{}/good.txt", "--measures", "nDGC@10"], "unknown measure nDGC@10"),
        (["--run", "{}/other.txt"], "other.txt: none of the run's 1 topics"),
        (["--run", "{}/good.txt", "--per-query", "{}"], "is a folder"),
    ],
)
def test_errors_are_one_line(files, capsys, arguments, message):
    (files / "other.txt").write_text("99 Q0 d 1 1.0 t\n")
    assert evaluate(files, *(part.format(files) for part in arguments)) == 2
    err = capsys.readouterr().err.strip()
    assert message in err
    assert len(err.splitlines()) == 1


def test_runs_of_one_file_name_are_told_apart_by_their_paths(files, capsys):
    (files / "again").mkdir()
    copy = files / "again" / "good.txt"
    copy.write_text((files / "good.txt").read_text())
    assert evaluate(files, "--run", str(files / "good.txt"), str(copy)) == 0
    out = capsys.readouterr().out
    assert str(copy) in out
    assert f"Difference from {files / 'good.txt'}" in out


def test_cacm(cacm, tmp_path, capsys):
    """The judgements themselves as a run: every measure is perfect but for nothing."""
    lines = [line.split() for line in (cacm / "qrels.txt").read_text().splitlines()]
    run = tmp_path / "run.txt"
    run.write_text("".join(f"{qid}\t{docid}\t1\n" for qid, _, docid, _ in lines))
    assert main(["--qrels", str(cacm / "qrels.txt"), "--run", str(run)]) == 0
    out = capsys.readouterr().out
    assert "means over 52 judged topics" in out
    assert out.split()[-3:] == ["1.0000", "1.0000", "1.0000"]


def test_a_name_that_is_not_utf8(files, capsys):
    strange = files / os.fsdecode(b"r\xe9.txt")
    strange.write_bytes((files / "good.txt").read_bytes())
    assert evaluate(files, "--run", str(strange), "--per-query", str(files / "o.tsv")) == 0
    assert (files / "o.tsv").read_text().startswith("measure\tqid\tr?.txt\n")


def test_runs_may_come_from_pipes(files, capsys):
    pipes = [piped(files / f"{name}.txt") for name in ("good", "bad")]
    judged = (files / "qrels.txt").read_text()
    (files / "changed.txt").write_text(judged.replace("7 0 relevant 1", "7 0 relevant 0"))
    changed = ["--changed-qrels", str(files / "changed.txt"), "--changed-run", str(pipes[1])]
    assert evaluate(files, "--run", str(pipes[0]), *changed) == 0
    assert "p-MRR" in capsys.readouterr().out
