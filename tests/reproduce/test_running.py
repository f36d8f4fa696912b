"""Rows run whole on small folders: what comes out, what is used again, what is off."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hypserini.evaluate import evaluate, load_qrels, mean, p_mrr
from hypserini.formats.runs import read_run
from hypserini.reproduce import commands, local
from hypserini.reproduce.matrix import Expected, Row, load_matrix
from hypserini.reproduce.report import as_html, as_markdown, exit_status
from hypserini.reproduce.running import NO_FIGURE, OFF, OK, Outcome, Runner, Value


@pytest.fixture
def make_runner(tmp_path: Path, tiny_model: Path):
    matrix = load_matrix()

    def make(**options) -> Runner:
        options = {"models": {"small": str(tiny_model)}, "tell": lambda line: None} | options
        return Runner(matrix, tmp_path / "out", **options)

    return make


@pytest.fixture
def row(make_runner, beir: Path) -> Row:
    return local.add_beir(make_runner().matrix, str(beir), "test", "small")


def test_a_folder_of_beir(make_runner, row, beir, tmp_path, in_process):
    runner = make_runner()
    outcome = runner.run(row)
    assert outcome.topics == 6
    run = read_run(next((tmp_path / "out" / "runs").glob("*.exhaustive.txt")))
    assert len(run) == 6  # of the ten queries those that are judged
    scores = evaluate(load_qrels(beir / "qrels" / "test.tsv"), run, local.MEASURES)
    for value, measured in zip(outcome.values, scores.values(), strict=True):
        assert value.value == pytest.approx(mean(measured))
        assert value.result == NO_FIGURE
    assert [line.split()[2] for line in runner.ran] == [line.split()[2] for line in in_process]

    # Again: nothing is made again, and the figures are held against what is expected.
    ndcg, recall = (value.value for value in outcome.values)
    expected = (
        Expected("nDCG@10", ndcg + 0.004, 0.005, "here"),
        Expected("R@100", recall - 0.1, 0.005, "there"),
    )
    runner.matrix.rows[row.name] = row = replace(row, expected=expected)
    in_process.clear()
    again = make_runner()
    second = again.run(row)
    assert [value.result for value in second.values] == [OK, OFF]
    assert [line.split()[2] for line in in_process] == ["hypserini.evaluate"]
    assert exit_status([second]) == 1
    markdown = as_markdown(again.matrix, [second], again.ran)
    assert "| off by +0.1000 | there |" in markdown
    assert '<tr class="off">' in as_html(again.matrix, [second], again.ran)

    # Another search is another run, over the same index.
    in_process.clear()
    make_runner().run(replace(row, search="tangent"))
    assert [line.split()[2] for line in in_process] == ["hypserini.search", "hypserini.evaluate"]

    # With a model of the user's for all rows, no figure is expected.
    third = make_runner(model=str(runner.models["small"])).run(row)
    assert {value.result for value in third.values} == {NO_FIGURE}


def test_a_run_goes_with_its_index(make_runner, row, beir, in_process, tmp_path):
    both = [row, replace(row, name="again", search="tangent")]
    for each in both:
        make_runner().run(each)
    corpus = beir / "corpus.jsonl"
    corpus.write_text(corpus.read_text() + '{"_id": "more", "title": "", "text": "graph walk"}\n')
    make_runner(overwrite=True).run(both[0])
    in_process.clear()
    make_runner().run(both[1])  # in another session
    assert [line.split()[2] for line in in_process] == ["hypserini.search", "hypserini.evaluate"]


def test_an_overwrite_that_fails_leaves_the_index_what_it_is(
    make_runner, row, beir, in_process, monkeypatch
):
    make_runner().run(row)

    def failing(*_: object, **__: object) -> str:
        raise commands.CommandFailed("killed")

    flags = {"index_flags": ["--batch-size", "7"]}
    with monkeypatch.context() as patched:
        patched.setattr(commands, "run", failing)
        assert make_runner(overwrite=True).run(row).why_not == "killed"
    assert make_runner(**flags).run(row).why_not is None
    other = replace(make_runner().matrix.collections[row.task], collection=str(beir / "other"))
    runner = make_runner()
    runner.matrix.collections[row.task] = other
    assert "was made by another command" in (runner.run(row).why_not or "")


def test_an_index_of_another_command_is_not_used(make_runner, row, in_process, tmp_path):
    index = tmp_path / "out" / "indexes" / f"{row.task}.tiny"
    index.mkdir(parents=True)
    (index / "segments_1").write_bytes(b"")
    commands.note(index, ["hypserini.index", "--collection", "another"])
    outcome = make_runner().run(row)
    assert "was made by another command" in (outcome.why_not or "")
    assert exit_status([outcome]) == 2


def test_a_folder_of_followir(make_runner, followir, tmp_path, in_process):
    runner = make_runner()
    row = local.add_followir(runner.matrix, str(followir), "small")
    outcome = runner.run(row)
    assert outcome.why_not is None
    found = {value.measure: value.value for value in outcome.values}
    folder, runs = tmp_path / "out" / "collections" / row.name, tmp_path / "out" / "runs"
    first, second = (read_run(next(runs.glob(name))) for name in ("*.rerank.txt", "*.changed.txt"))
    assert {qid: len(hits) for qid, hits in first.items()} == {"1": 40, "2": 40, "3": 40}
    qrels = [load_qrels(folder / f"qrels.{name}.txt") for name in ("og", "changed")]
    values = p_mrr(*qrels, first, second)
    assert len(values) == 3
    assert found["p-MRR"] == pytest.approx(mean(values))
    assert found["p-MRR"] != 0
    assert found["AP"] == pytest.approx(mean(evaluate(qrels[0], first, ["AP"]).popitem()[1]))


def test_pooled_rows_count_each_topic_once(make_runner):
    runner = make_runner()
    both = runner.matrix.rows["dl19-and-20-6-layer"]
    for name, topics, value in (("dl19-6-layer", 43, 0.742), ("dl20-6-layer", 54, 0.72)):
        values = tuple(Value(each.measure, value) for each in both.expected)
        row = runner.matrix.rows[name]
        runner._outcomes[name] = Outcome(row, "model", values, topics)
    outcome = runner.run(both)
    assert outcome.topics == 97
    assert outcome.values[0].value == pytest.approx((43 * 0.742 + 54 * 0.72) / 97)
    assert [value.result for value in outcome.values] == [OFF, OFF, OFF]
    assert exit_status([outcome]) == 1
    runner._outcomes["dl20-6-layer"] = Outcome(row, "model", why_not="no hub.")
    del runner._outcomes[both.name]
    assert runner.run(both).why_not == "dl20-6-layer could not be run: no hub."
