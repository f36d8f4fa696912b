"""The comparison of models from end to end, on packages and a collection that the test makes."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import pytrec_eval

from benchmarks.effectiveness import main
from benchmarks.effectiveness_runs import BM25, HYBRID, RERANKER, System
from benchmarks.effectiveness_tables import MEASURES, differences_table, means_table
from hypserini.demo import recipe
from hypserini.formats.workplace import LOCK

ACTIONS = ("read", "sort", "merge", "count", "write", "search", "score", "delete", "copy")
THINGS = ("table", "graph", "query", "vector", "matrix", "index", "stream", "column")


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    functions = []
    for action in ACTIONS:
        for thing in THINGS:
            rest = f"The {thing} is given first, and pandas will {action} it at once. " * 4
            functions.append(
                f"def {action}_{thing}({thing}, mode):\n"
                f'    """{action.title()} one {thing} with the means of pandas.\n\n'
                f'    {rest}\n    """\n'
            )
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "pandas.py").write_text("\n".join(functions))
    return folder


@pytest.fixture
def given(tmp_path: Path, collection: Path, topics_file: Path, topics: dict[str, str]) -> Path:
    folder = tmp_path / "given"
    folder.mkdir()
    shutil.copy(collection, folder / "corpus.jsonl")
    shutil.copy(topics_file, folder / "topics.tsv")
    judged = [f"{qid} 0 doc{int(qid) * 7:04} 1\n" for qid in list(topics)[:6]]
    (folder / "qrels.txt").write_text("".join(judged))
    return folder


def cells(printed: str) -> list[list[str]]:
    """The rows of all Markdown tables."""
    lines = [line for line in printed.splitlines() if re.match(r"\| \w", line)]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_model_in_every_role_as_trec_eval_sees_it(
    packages: Path,
    given: Path,
    tmp_path: Path,
    tiny_model: Path,
    other_model: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    small = tmp_path / "small"
    flags = ["--models-folder", small, "--packages", packages, "--topics", 40, "--quiet"]
    flags += ["--also", f"made={given}", "--reranked", 20, "--device", "cpu"]
    both = ["--models", f"bi-encoder={other_model}", f"hypencoder-2={tiny_model}"]
    assert main([*map(str, [*flags, *both])]) == 0
    printed = capsys.readouterr().out
    in_domain, made = printed.split("\n## ")[1:]
    assert "40 topics" in in_domain.splitlines()[0]
    assert "6 topics" in made.splitlines()[0]
    qrels = pytrec_eval.parse_qrel((given / "qrels.txt").open())
    shown = [row for row in cells(made) if len(row) == 5 and row[0] != "role"]
    assert len(shown) == 7
    for role, model, ndcg, _, recall in shown:
        tag = f"{model}.{role}".replace(" ", "-")
        run = pytrec_eval.parse_run((small / f"effectiveness/also/made/runs/{tag}.txt").open())
        evaluator = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut_10", "recall_100"})
        found = evaluator.evaluate(run).values()
        assert float(ndcg.split()[0]) == pytest.approx(
            sum(topic["ndcg_cut_10"] for topic in found) / 6, abs=6e-4
        )
        assert float(recall.split()[0]) == pytest.approx(
            sum(topic["recall_100"] for topic in found) / 6, abs=6e-4
        )
        if role == RERANKER:
            assert all(len(hits) <= 20 for hits in run.values())
    against = [row for row in cells(made) if len(row) == 6 and row[0] != "role"]
    assert [row[:3] for row in against] == [
        [role, "hypencoder-2", "bi-encoder"] for role in ("first stage", "reranker", "hybrid")
    ]


def test_small_versions_that_are_there_are_compared_and_not_trained_again(
    packages: Path,
    tmp_path: Path,
    tiny_model: Path,
    other_model: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    names = [*recipe.MODELS, *(f"{name}-mined" for name in recipe.MODELS)]
    for name in names:
        model = other_model if name.startswith("bi-encoder") else tiny_model
        shutil.copytree(model, tmp_path / "small" / name)
    flags = ["--models-folder", tmp_path, "--packages", packages, "--topics", 10, "--quiet"]
    assert main([*map(str, flags), "--device", "cpu"]) == 0
    rows = [row for row in cells(capsys.readouterr().out) if row[0] == "first stage"]
    assert [row[1] for row in rows if len(row) == 5] == ["BM25", *names]
    assert [(row[1], row[2]) for row in rows if len(row) == 6] == [
        (f"hypencoder-{blocks}{mined}", f"bi-encoder{mined}")
        for mined in ("", "-mined")
        for blocks in (2, 4, 6)
    ]


def test_an_index_is_used_again_for_the_same_model_and_collection_only(
    packages: Path, given: Path, tmp_path: Path, tiny_model: Path, other_model: Path
) -> None:
    folder = tmp_path / "small/effectiveness"
    flags = ["--models-folder", tmp_path / "small", "--packages", packages, "--topics", 10]
    flags += ["--also", f"made={given}", "--device", "cpu", "--quiet"]

    stale = folder / "also/made/runs/another.first-stage.txt"

    def built(model: Path) -> list[int]:
        stale.parent.mkdir(parents=True, exist_ok=True)
        stale.write_text("1 Q0 doc0001 1 0.5 of-other-topics\n")
        assert main([*map(str, flags), "--models", f"one={model}"]) == 0
        assert not stale.exists()
        made = [(folder / at).glob("index.one.*/*.vec") for at in ("held-out", "also/made")]
        return [max(file.stat().st_mtime_ns for file in files) for files in made]

    first = built(tiny_model)
    assert built(tiny_model) == first
    (whole,) = (folder / "also/made").glob("index.one.*")
    unfinished = whole.rename(f"{whole}.building")
    (unfinished / LOCK).touch()  # as a build that is stopped leaves it
    assert built(tiny_model) == first  # gone on with: nothing was left to encode
    assert whole.exists()
    assert not unfinished.exists()
    with (given / "corpus.jsonl").open("a") as file:
        file.write('{"id": "new", "contents": "one more document"}\n')
    more = built(tiny_model)
    assert more[0] == first[0]
    assert more[1] != first[1]
    other = built(other_model)
    assert other[0] != more[0]
    assert other[1] != more[1]


def test_marks_say_what_is_better_than_what() -> None:
    qids = [f"q{i}" for i in range(40)]

    def scores(level: float) -> dict:
        # Differences between systems vary from topic to topic, but little.
        return {
            measure: {q: level + i % 7 * level / 100 for i, q in enumerate(qids)}
            for measure in MEASURES
        }

    systems = {
        BM25: scores(0.5),
        System("bi-encoder"): scores(0.4),
        System("hypencoder-2"): scores(0.45),
        System("bi-encoder-mined"): scores(0.6),
        System("hypencoder-2-mined"): scores(0.55),
        System("hypencoder-2", HYBRID): scores(0.7),
    }
    marks = {tuple(row[:2]): "".join(row[2].split()[1:]) for row in cells(means_table(systems))[1:]}
    assert marks == {
        ("first stage", "BM25"): "",
        ("first stage", "bi-encoder"): "",
        ("first stage", "hypencoder-2"): "e",
        ("first stage", "bi-encoder-mined"): "b",
        ("first stage", "hypencoder-2-mined"): "b",
        ("hybrid", "hypencoder-2"): "b",
    }
    rows = cells(differences_table(systems) or "")[1:]
    assert [(row[1], row[2], row[3].split()[0][0]) for row in rows] == [
        ("hypencoder-2", "bi-encoder", "+"),
        ("hypencoder-2-mined", "bi-encoder-mined", "-"),
    ]
    del systems[System("bi-encoder")], systems[System("bi-encoder-mined")]
    assert differences_table(systems) is None


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--also", "made=nowhere"], "nowhere/corpus.jsonl does not exist"),
        (["--models", "a=x", "a=y"], "two are named a"),
    ],
)
def test_mistakes_are_told_before_any_training(
    flags: list[str],
    said: str,
    packages: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    common = ["--models-folder", tmp_path, "--packages", packages, "--quiet"]
    assert main([*map(str, common), *flags]) == 2
    assert said in capsys.readouterr().err


def test_topics_that_were_judged_must_be_there(
    packages: Path, given: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (given / "qrels.txt").open("a") as file:
        file.write("77 0 doc0001 1\n")
    common = ["--models-folder", tmp_path, "--packages", packages, "--quiet"]
    assert main([*map(str, common), "--also", f"made={given}"]) == 2
    assert "lacks 1 of the topics" in capsys.readouterr().err
