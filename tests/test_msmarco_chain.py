"""The whole chain of `--topics dl19`, with a stand-in for what only the web has.

A checkpoint of the published shape (random weights, the paper's file format) lies in the hub's
cache under its name, topics and judgements lie where Pyserini caches them, and the collection is a
file in MS MARCO's own format.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import make_documents, make_tokenizer
from rankings import scores_like

pytestmark = pytest.mark.long

MODEL = "jfkback/hypencoder.6_layer"
INDEX = "indexes/msmarco-v1-passage.hypencoder.6_layer"
TOPICS = {"156493": "graph walk beam", "1110199": "merge sort heap", "1063750": "neural network"}
PASSAGES = 64


def write_published_checkpoint(folder: Path) -> None:
    """A random checkpoint of hypencoder.6_layer as the paper's code saved it."""
    import torch
    from transformers import BertConfig

    from hypserini.modeling import HypencoderConfig, HypencoderDualEncoder

    torch.manual_seed(0)
    model = HypencoderDualEncoder(HypencoderConfig.from_base(BertConfig(), 6))
    folder.mkdir(parents=True)
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    encoder = {"model_name_or_path": "google-bert/bert-base-uncased", "freeze_transformer": False}
    converter = {
        "vector_dimensions": [768] * 7 + [1],
        "activation_type": "relu",
        "do_residual_on_last": False,
    }
    config = {
        "architectures": ["HypencoderDualEncoder"],
        "query_encoder_kwargs": {
            **encoder,
            "embedding_representation": None,
            "base_encoder_output_dim": 768,
            "converter_kwargs": converter,
        },
        "passage_encoder_kwargs": {**encoder, "pooling_type": "cls"},
        "shared_encoder": True,
        "loss_type": ["margin_mse", "cross_entropy"],
        "loss_kwargs": [{}, {"only_use_first_item": True, "use_in_batch_negatives": True}],
        "query_encoder_type": "",
        "passage_encoder_type": "",
    }
    (folder / "config.json").write_text(json.dumps(config))
    make_tokenizer(folder).save_pretrained(folder)


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with a home and a hub cache of its own."""
    place = tmp_path_factory.mktemp("msmarco")
    repository = place / "home/.cache/huggingface/hub/models--jfkback--hypencoder.6_layer"
    commit = "0" * 40
    write_published_checkpoint(repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)

    documents = make_documents(PASSAGES, seed=3)
    (place / "collection.tsv").write_text(
        "".join(f"{i}\t{document['contents']}\n" for i, document in enumerate(documents))
    )
    cache = place / "home/.cache/pyserini/topics-and-qrels"
    cache.mkdir(parents=True)
    (cache / "topics.dl19-passage.txt").write_text(
        "".join(f"{qid}\t{text}\n" for qid, text in TOPICS.items())
    )
    (cache / "qrels.dl19-passage.txt").write_text(
        "".join(f"{qid} Q0 {docid} {docid % 4}\n" for qid in TOPICS for docid in range(PASSAGES))
    )
    return place


BY_NAME = """
from hypserini import LuceneHypencoderSearcher
from hypserini.errors import IndexingError
searcher = LuceneHypencoderSearcher.from_prebuilt_index("msmarco-v1-passage.hypencoder.6_layer")
print(searcher.num_docs, searcher.metadata.model)
for hit in searcher.search("graph walk beam", 1000):
    print(hit.docid, f"{hit.score:.6f}")
try:
    LuceneHypencoderSearcher.from_prebuilt_index("msmarco-v1-passage")
except IndexingError as error:
    print(error)
"""

SEARCH = ("search", "--topics", "dl19", "--output", "run.txt")
COLLECTION = ("--collection", "msmarco-v1-passage")
GIVEN = {
    "missing": SEARCH,
    "indexed": ("index", *COLLECTION, "--collection-path", "collection.tsv"),
    "searched": SEARCH,
    "evaluated": ("evaluate", "--qrels", "dl19", "--run", "run.txt"),
    "by name": ("-c", BY_NAME),
    "other topics": ("search", "--topics", "dl20", "--output", "run20.txt"),
    "no collection": ("index", *COLLECTION, "--overwrite"),
}
"""What is given, one after the other: a module of hypserini and its arguments, or code."""

ONE_BY_ONE = """
import json, sys
from contextlib import redirect_stderr, redirect_stdout
from importlib import import_module
from io import StringIO
for module, *arguments in json.loads(sys.argv[1]):
    out, error = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(error):
        if module == "-c":
            status = exec(arguments[0], {})
        else:
            status = import_module(f"hypserini.{module}.__main__").main(arguments)
    print(json.dumps([status or 0, out.getvalue(), error.getvalue()]))
"""
"""In one process: to import Pyserini, torch and transformers takes longer than all of it."""


@pytest.fixture(scope="module")
def answers(workplace: Path) -> dict[str, tuple[int, str, str]]:
    """Exit status, output and errors of what is given."""
    done = python(workplace, "-c", ONE_BY_ONE, json.dumps(list(GIVEN.values())))
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("[")]
    return dict(zip(GIVEN, map(tuple, map(json.loads, lines)), strict=True))


def python(workplace: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python in the working folder."""
    environment = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("HF_", "HYPSERINI_INDEX", "HYPSERINI_MODEL", "PYSERINI_CACHE"))
    }
    environment |= {
        "HOME": str(workplace / "home"),
        "HF_HUB_OFFLINE": "1",
        "HYPSERINI_CACHE": str(Path.home() / ".cache" / "hypserini"),
    }
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, cwd=workplace, env=environment, capture_output=True, text=True, check=False
    )


def test_dl19_is_searched_and_evaluated_without_further_flags(workplace: Path, answers) -> None:
    status, _, error = answers["missing"]
    assert status == 2
    assert "make index COLLECTION=msmarco-v1-passage" in error.splitlines()[-1]
    assert INDEX in error.splitlines()[-1]

    status, out, error = answers["indexed"]
    assert status == 0, error
    assert (workplace / INDEX).is_dir()
    assert MODEL in out

    status, _, error = answers["searched"]
    assert status == 0, error
    lines = [line.split() for line in (workplace / "run.txt").read_text().splitlines()]
    assert [qid for qid, *_ in lines] == [qid for qid in TOPICS for _ in range(PASSAGES)]
    assert {len(line) for line in lines} == {6}

    status, out, error = answers["evaluated"]
    assert status == 0, error
    for measure in ("nDCG@10", "RR(rel=2)", "R(rel=2)@1000"):
        assert measure in out


def test_the_index_is_opened_by_its_name_as_pyserinis_are(workplace: Path, answers) -> None:
    _, out, _ = answers["by name"]
    first, *hits, last = out.splitlines()
    assert first == f"{PASSAGES} {MODEL}"
    lines = [line.split() for line in (workplace / "run.txt").read_text().splitlines()]
    expected = {docid: float(score) for qid, _, docid, _, score, _ in lines if qid == "156493"}
    found = {docid: float(score) for docid, score in map(str.split, hits)}
    assert found == scores_like(expected)
    assert "there is no index msmarco-v1-passage in indexes" in last
    assert "msmarco-v1-passage.hypencoder.6_layer" in last


@pytest.mark.parametrize(
    ("given", "named"), [("other topics", "dl20"), ("no collection", "collection.tsv")]
)
def test_what_is_not_there_is_asked_for_in_one_sentence(
    given: str, named: str, workplace: Path, answers
) -> None:
    status, _, error = answers[given]
    assert status == 2
    assert named in error.splitlines()[-1]
    assert "Traceback" not in error
    assert not (workplace / "run20.txt").exists()
