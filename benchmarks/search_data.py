"""What the search benchmark searches: vectors, texts and q-nets, made once and kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.exhaustive import random_q_net
from hypserini import load_model
from hypserini.defaults import BUNDLED_MODEL
from hypserini.encode import DocumentEncoder, QueryEncoder
from hypserini.formats.collection import read_collection
from hypserini.formats.topics import load_topics
from hypserini.index.reader import Index
from hypserini.index.writer import IndexWriter
from hypserini.modeling import DualEncoder, QNet
from hypserini.pydocs.collection import make_collection

MOST = 10**9
AT_ONCE = 4096


@dataclass(slots=True)
class Collection:
    """Documents in a random order, the held-out topics' own first; topics and their q-nets."""

    model: DualEncoder
    docids: list[str]
    texts: list[str]
    vectors: np.ndarray
    qids: list[str]
    queries: list[str]
    relevant: dict[str, str]
    trained: list[QNet]

    def random(self, blocks: int) -> list[QNet]:
        """Random q-nets, one a topic: never trained, so as far from linear as they come."""
        q_net = random_q_net(self.model.dim, blocks, len(self.qids))
        return [q_net[i] for i in range(len(self.qids))]

    def rows(self, size: int) -> tuple[list[str], list[str], np.ndarray]:
        """Ids, texts and vectors of the first documents; beyond them, made ones.

        A made vector lies between those of two documents and a little aside, as far from its
        nearest neighbour as documents are.
        """
        if size <= len(self.docids):
            return self.docids[:size], self.texts[:size], self.vectors[:size]
        generator = np.random.default_rng(1)
        more = size - len(self.docids)
        one, other = generator.integers(len(self.docids), size=(2, more))
        weight = generator.uniform(0.5, 0.9, size=(more, 1)).astype(np.float32)
        aside = generator.standard_normal((more, self.vectors.shape[1]), dtype=np.float32)
        made = weight * self.vectors[one] + (1 - weight) * self.vectors[other]
        made += 0.3 * self.vectors.std(axis=0) * aside
        # Between two vectors, a mean is shorter than either.
        lengths = np.linalg.norm(self.vectors[one], axis=1, keepdims=True)
        made *= lengths / np.linalg.norm(made, axis=1, keepdims=True)
        ids = [*self.docids, *(f"made{i}" for i in range(more))]
        return ids, [*self.texts, *([""] * more)], np.concatenate([self.vectors, made])


def load_data(cache: Path, documents: int | None) -> Collection:
    """The documentation of the installed packages, encoded by the bundled model and kept."""
    model = load_model(BUNDLED_MODEL, device="cpu")
    name = "all" if documents is None else str(documents)
    files = make_collection(cache / f"collection-{name}", documents or MOST)
    read = list(read_collection(files.collection))
    kept = cache / f"vectors-{name}-{model.fingerprint[:12]}.npy"
    if kept.exists() and len(np.load(kept, mmap_mode="r")) == len(read):
        vectors = np.load(kept)
    else:
        vectors = encode(model, [document.contents for document in read])
        np.save(kept, vectors)
    qrels = dict(_qrels(files.qrels))
    own = set(qrels.values())
    generator = np.random.default_rng(0)
    order = sorted(generator.permutation(len(read)), key=lambda i: read[i].docid not in own)
    topics = load_topics(str(files.topics))
    encoded = QueryEncoder(model).encode(topics.texts)
    return Collection(
        model,
        [read[i].docid for i in order],
        [read[i].contents for i in order],
        vectors[order],
        topics.qids,
        topics.texts,
        qrels,
        [encoded[i] for i in range(len(encoded))],
    )


def encode(model: DualEncoder, texts: Sequence[str]) -> np.ndarray:
    """Vectors of all texts, under a progress bar."""
    from tqdm import tqdm

    encoder = DocumentEncoder(model)
    parts = [
        encoder.encode(texts[start : start + AT_ONCE])
        for start in tqdm(range(0, len(texts), AT_ONCE), desc="encoding", unit_scale=AT_ONCE)
    ]
    return np.concatenate(parts)


def write_index(cache: Path, data: Collection, size: int, similarity: str | None = None) -> Path:
    """An index of `size` documents in one segment, with texts; kept in `cache`."""
    name = f"index-{similarity or 'graph'}-{size}-{data.model.fingerprint[:12]}-{_line()}"
    folder = cache / name
    if (folder / ".complete").exists():
        return folder
    ids, texts, vectors = data.rows(size)
    with IndexWriter(folder, dimension=data.model.dim, similarity=similarity) as writer:
        for start in range(0, size, AT_ONCE):
            part = slice(start, start + AT_ONCE)
            writer.add(ids[part], vectors[part], texts[part])
        writer.optimize()
        writer.commit({})
    with Index(folder) as index:
        assert index.num_vectors == size
    (folder / ".complete").write_text("")
    return folder


def _line() -> str:
    from hypserini import jvm

    return jvm.lucene_version()


def _qrels(path: Path) -> list[tuple[str, str]]:
    rows = (line.split() for line in path.read_text(encoding="utf-8").splitlines())
    return [(row[0], row[2]) for row in rows]
