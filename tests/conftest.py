"""What the tests share: offline settings, a tiny random model, and small collections."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# Before any library is imported: nothing may look for the web.
os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")

import pytest

# A job in the background ignores Ctrl-C, and so would the commands that the tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that take long first, which else would run alone at the end."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


SHARED = Path(__file__).resolve().parents[2] / "shared"
WORDS = (
    "index search query document vector graph score rank layer weight block network neural "
    "learn train model text token term field store read write file table row column merge sort "
    "tree heap queue list map set hash key value node edge path walk beam width depth time speed "
    "memory disk cache page byte bit code test run error name line number count sum mean top best"
).split()


def make_tokenizer(folder: Path):
    """A WordPiece tokenizer that knows the letters and the words of the made collections."""
    from transformers import BertTokenizerFast

    letters = [chr(c) for c in range(ord("a"), ord("z") + 1)]
    digits = [str(d) for d in range(10)]
    pieces = [*letters, *digits, *(f"##{piece}" for piece in [*letters, *digits]), *WORDS]
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", ",", *pieces]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(dict.fromkeys(vocabulary)) + "\n")
    return BertTokenizerFast(str(folder / "vocab.txt"))


def make_model(folder: Path, *, dim: int = 32, blocks: int = 2, seed: int = 0) -> Path:
    """A random Hypencoder of two transformer layers, saved as `load_model` reads it."""
    import torch
    from transformers import BertConfig

    from hypserini.modeling import HypencoderConfig, HypencoderDualEncoder

    torch.manual_seed(seed)
    tokenizer = make_tokenizer(folder)
    base = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=dim,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=2 * dim,
        max_position_embeddings=64,
    )
    model = HypencoderDualEncoder(HypencoderConfig.from_base(base, blocks))
    # The published initialisation makes all q-nets nearly one; these should disagree.
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "hyper_projection" in name:
                parameter.normal_(std=0.3)
    model.tokenizer = tokenizer
    model.save_pretrained(folder)
    return folder


def make_documents(count: int, *, seed: int = 0) -> list[dict[str, str]]:
    """Documents of 5 to 40 words of a skewed distribution, in Pyserini's JSON."""
    rng = random.Random(seed)
    weights = [1 / (i + 1) for i in range(len(WORDS))]
    return [
        {
            "id": f"doc{number:04}",
            "contents": " ".join(rng.choices(WORDS, weights, k=rng.randint(5, 40))),
        }
        for number in range(count)
    ]


def wait_for_documents(process: subprocess.Popen[bytes], index: Path, count: int) -> None:
    """Wait until a process has committed more than so many documents to an index."""
    from hypserini.errors import IndexingError
    from hypserini.index.reader import Index

    committed, deadline = 0, time.monotonic() + 120
    while committed <= count and time.monotonic() < deadline:
        assert process.poll() is None, "the build ended before it could be killed"
        time.sleep(0.01)
        with (
            suppress(IndexingError),
            Index(index) as opened,
        ):  # before the first commit there is none
            committed = opened.num_docs
    assert committed > count


def write_jsonl(path: Path, documents: list[dict[str, str]]) -> Path:
    """Write one JSON object a line."""
    path.write_text("".join(json.dumps(document) + "\n" for document in documents))
    return path


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small random Hypencoder: 32 dimensions, two hidden blocks."""
    return make_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def other_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of the same shape with other weights."""
    return make_model(tmp_path_factory.mktemp("models") / "other", seed=1)


@pytest.fixture(scope="session")
def nested_model(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model, as if it had been trained in sizes of 1 and 2 hidden blocks."""
    folder = tmp_path_factory.mktemp("nested") / "model"
    shutil.copytree(tiny_model, folder)
    config = json.loads((folder / "config.json").read_text())
    config["query_encoder_kwargs"]["nested"] = [1]
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture(scope="session")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of 400 documents, in Pyserini's JSON lines."""
    return write_jsonl(tmp_path_factory.mktemp("data") / "corpus.jsonl", make_documents(400))


@pytest.fixture(scope="session")
def topics() -> dict[str, str]:
    """A few topics for the made collection."""
    rng = random.Random(7)
    return {str(qid): " ".join(rng.sample(WORDS, 4)) for qid in range(1, 11)}


@pytest.fixture(scope="session")
def topics_file(tmp_path_factory: pytest.TempPathFactory, topics: dict[str, str]) -> Path:
    """The topics as a TSV file."""
    path = tmp_path_factory.mktemp("data") / "topics.tsv"
    path.write_text("".join(f"{qid}\t{text}\n" for qid, text in topics.items()))
    return path


@pytest.fixture(scope="session")
def index(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, collection: Path) -> Path:
    """The collection, indexed with the tiny model."""
    from hypserini.index.build import build_index

    path = tmp_path_factory.mktemp("indexes") / "made"
    build_index(collection, path, str(tiny_model), progress=False)
    return path


@pytest.fixture(scope="session")
def cacm() -> Path:
    """The folder of the CACM collection beside the checkout."""
    if not (SHARED / "cacm").is_dir():
        pytest.skip("CACM does not lie beside the checkout")
    return SHARED / "cacm"


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond so many bytes, as if the disk were full."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Makes a disk of a size such as 300k, or gives it another; where the tests may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = False

    def sized(size: str) -> Path:
        nonlocal mounted
        options = f"size={size}" + (",remount" if mounted else "")
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
            pytest.skip("the tests may not mount a disk here")
        mounted = True
        return folder

    yield sized
    if mounted:
        subprocess.run(["umount", str(folder)], check=True)
