"""A search encodes queries as the documents were encoded, with the model that the index names."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from conftest import make_documents, write_jsonl
from safetensors.torch import load_file, save_file

from hypserini.encode.__main__ import main as encode
from hypserini.formats.workplace import LOCK
from hypserini.index.__main__ import main as build
from hypserini.search.__main__ import main as search

FLAGS = ("--pooling", "mean", "--l2-norm", "--query-prefix", "query", "--doc-prefix", "text ")


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """The tiny model's transformer alone, as transformers would save it."""
    folder = tmp_path_factory.mktemp("models") / "bare"
    shutil.copytree(tiny_model, folder)
    prefix = "query_encoder.transformer."
    weights = load_file(tiny_model / "model.safetensors")
    save_file(
        {k.removeprefix(prefix): w for k, w in weights.items() if k.startswith(prefix)},
        folder / "model.safetensors",
    )
    config = json.loads((tiny_model / "config.json").read_text())["base_config"]
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_jsonl(tmp_path_factory.mktemp("data") / "corpus.jsonl", make_documents(20))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, bare: Path, corpus: Path) -> Path:
    """An index that was encoded with all settings."""
    path = tmp_path_factory.mktemp("indexes") / "made"
    index(path, corpus, bare, *FLAGS)
    return path


def index(path: Path, corpus: Path, model: object, *flags: object) -> None:
    arguments = ("--collection", corpus, "--index", path, "--model", model, *flags, "--quiet")
    assert build([str(argument) for argument in arguments]) == 0


def run(index: Path, topics: Path, *flags: object) -> str:
    """The run of a search without its tag."""
    output = topics.with_name("run.txt")
    arguments = ("--index", index, "--topics", topics, "--output", output, *flags, "--quiet")
    assert search([str(argument) for argument in arguments]) == 0
    return output.read_text()


def failure(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert search([*map(str, arguments), "--quiet"]) == 2
    return capsys.readouterr().err


def test_queries_are_encoded_as_documents_were(made: Path, topics_file: Path, caplog) -> None:
    recorded = run(made, topics_file)
    assert not caplog.records
    assert run(made, topics_file, *FLAGS[:5]) == recorded
    assert run(made, topics_file, "--query-prefix", "") != recorded
    assert "'' is put before queries" in caplog.text


def test_a_prefix_by_flag_is_one_in_the_texts(
    made: Path, bare: Path, corpus: Path, topics_file: Path, tmp_path: Path
) -> None:
    documents = [json.loads(line) for line in corpus.read_text().splitlines()]
    texts = [document | {"contents": f"text {document['contents']}"} for document in documents]
    topics = tmp_path / "topics.tsv"
    topics.write_text(topics_file.read_text().replace("\t", "\tquery "))
    index(tmp_path / "ix", write_jsonl(tmp_path / "c.jsonl", texts), bare, *FLAGS[:3])
    assert run(tmp_path / "ix", topics) == run(made, topics_file)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--pooling", "cls"), "encoded with --pooling mean and not --pooling cls"),
        (("--no-l2-norm",), "encoded with --l2-norm and not --no-l2-norm"),
        (("--pooling", "middle"), "unknown pooling 'middle'"),
        (("--max-length", "3"), "3 tokens leave no room for a text"),
    ],
)
def test_settings_that_contradict_the_documents_are_refused(
    made: Path, topics_file: Path, capsys: pytest.CaptureFixture[str], flags, message
) -> None:
    assert message in failure(capsys, "--index", made, "--topics", topics_file, *flags)


def test_a_build_is_resumed_with_the_same_settings_alone(
    made: Path, bare: Path, corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    building = tmp_path / "ix.building"
    shutil.copytree(made, building)
    (building / LOCK).touch()  # as a build leaves it
    base = ["--collection", str(corpus), "--index", str(tmp_path / "ix"), "--model", str(bare)]
    for changed, name in (
        (["--pooling", "mean"], "l2_norm"),
        ([*FLAGS[:3], "--query-prefix", "other"], "query_prefix"),
        ([*FLAGS[:5], "--doc-prefix", "other"], "document_prefix"),
        (["--pooling", "cls", *FLAGS[2:]], "pooling"),
    ):
        assert build([*base, *changed, "--resume", "--quiet"]) == 2
        assert f"begun with {name}" in capsys.readouterr().err
    assert build([*base, *FLAGS, "--resume", "--quiet"]) == 0


def test_vectors_from_files_keep_the_settings(
    made: Path, bare: Path, corpus: Path, topics_file: Path, tmp_path: Path, capsys
) -> None:
    vectors, common = tmp_path / "vectors", ("--model", str(bare), *FLAGS, "--quiet")
    assert encode(["--collection", str(corpus), "--output", str(vectors), *common]) == 0
    base = ["--vectors-from", str(vectors), "--index"]
    assert build([*base, str(tmp_path / "ix"), "--quiet"]) == 0
    assert run(tmp_path / "ix", topics_file) == run(made, topics_file)
    assert build([*base, str(tmp_path / "no"), "--pooling", "mean", "--quiet"]) == 2
    assert "leave them out" in capsys.readouterr().err
    (vectors / "vectors.manifest").unlink()
    assert build([*base, str(tmp_path / "named"), *common]) == 0
    assert run(tmp_path / "named", topics_file) == run(made, topics_file)


def test_saved_q_nets_keep_their_prefix(
    made: Path, bare: Path, topics_file: Path, tmp_path: Path, caplog
) -> None:
    for name, flags in (("same", FLAGS[:5]), ("none", FLAGS[:3])):
        arguments = ["--topics", str(topics_file), "--output", str(tmp_path / name)]
        assert encode([*arguments, "--model", str(bare), *flags, "--quiet"]) == 0
    caplog.clear()
    same = run(made, topics_file, "--encoded-queries", tmp_path / "same")
    assert same == run(made, topics_file)
    assert not caplog.records
    assert run(made, topics_file, "--encoded-queries", tmp_path / "none") != same
    assert "'' is put before queries" in caplog.text


def test_an_index_is_found_with_its_model_wherever_both_are(
    bare: Path, corpus: Path, topics_file: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    project = tmp_path / "project"
    shutil.copytree(bare, project / "models" / "mine")
    monkeypatch.chdir(project)
    index(Path("indexes/ix"), corpus, "models/mine", "--pooling", "mean")
    monkeypatch.chdir(tmp_path)
    there = run(project / "indexes" / "ix", topics_file)
    project.rename(tmp_path / "moved")
    moved = tmp_path / "moved"
    assert run(moved / "indexes" / "ix", topics_file) == there
    (moved / "models" / "mine").rename(moved / "models" / "other")
    ix = moved / "indexes" / "ix"
    message = failure(capsys, "--index", ix, "--topics", topics_file)
    named = project / "models" / "mine"
    assert f"the index {ix} was encoded by {named}, which is not there: name it with --model" in (
        message
    )
    assert run(ix, topics_file, "--model", moved / "models" / "other") == there


def test_queries_that_are_cut_are_told_once(made: Path, topics_file: Path, caplog) -> None:
    run(made, topics_file, "--max-length", 5, "--batch-size", 3, "--check", 4)
    cut = [r.getMessage() for r in caplog.records if "longer than" in r.getMessage()]
    assert cut == ["10 queries are longer than 5 tokens and were encoded up to there"]
    caplog.clear()
    run(made, topics_file, "--max-length", 5, "--batch-size", 3, "--threads", 2)
    assert "10 queries are longer than 5 tokens" in caplog.text
    caplog.clear()
    assert search(["--index", str(made), "--query", "sort " * 90, "--quiet"]) == 0
    assert "1 queries are longer than 64 tokens" in caplog.text


def test_a_model_that_says_how_it_was_trained_is_not_bent_to_an_index(
    bare: Path, tiny_model: Path, corpus: Path, topics_file: Path, tmp_path: Path, capsys
) -> None:
    """The tiny Hypencoder has the bare encoder's weights, and was trained for cls."""
    for pooling, fits in (("cls", True), ("mean", False)):
        ix = tmp_path / pooling
        index(ix, corpus, bare, "--pooling", pooling)
        if fits:
            assert run(ix, topics_file, "--model", tiny_model)
        else:
            message = failure(capsys, "--index", ix, "--topics", topics_file, "--model", tiny_model)
            assert f"was encoded by {bare} and not by {tiny_model}" in message
