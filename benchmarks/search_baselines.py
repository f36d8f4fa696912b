"""Dot-product search over the same vectors: Lucene's HNSW, and Faiss where it is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np

from benchmarks.search_data import Collection, write_index
from hypserini import jvm
from hypserini.index.reader import Index


class DotProduct(Protocol):
    """Searches by one query vector."""

    name: str
    approximate: bool

    def search(self, vector: np.ndarray, k: int, ef: int) -> list[tuple[str, float]]:
        """Docids and scores of the best `k`; `ef` candidates are kept while they are looked for."""


class LuceneHnsw:
    """Lucene's own vector search over a graph built by inner products."""

    name = "Lucene HNSW"
    approximate = True

    def __init__(self, folder: Path) -> None:
        self._index = Index(folder)
        self._docids = list(self._index.docids())
        paths = jvm.java_class("java.nio.file.Paths")
        directory = jvm.java_class("org.apache.lucene.store.FSDirectory")
        reader = jvm.java_class("org.apache.lucene.index.DirectoryReader")
        searcher = jvm.java_class("org.apache.lucene.search.IndexSearcher")
        opened = reader.open(directory.open(paths.get(str(folder.absolute()))))
        self._searcher = searcher(opened, signature="(Lorg/apache/lucene/index/IndexReader;)V")
        self._query = jvm.java_class("org.apache.lucene.search.KnnFloatVectorQuery")

    def search(self, vector: np.ndarray, k: int, ef: int) -> list[tuple[str, float]]:
        """Docids and scores of the best `k` of `ef` that are found."""
        hits = self._searcher.search(self._query("vector", vector.tolist(), ef), k).scoreDocs
        return [(self._docids[hit.doc], hit.score) for hit in hits]


class Faiss:
    """One of Faiss' indexes."""

    def __init__(self, name: str, index: Any, docids: list[str], approximate: bool) -> None:
        self.name = name
        self.approximate = approximate
        self._index = index
        self._docids = docids

    def search(self, vector: np.ndarray, k: int, ef: int) -> list[tuple[str, float]]:
        """Docids and scores of the best `k`; a flat index has no use for `ef`."""
        if self.approximate:
            self._index.hnsw.efSearch = ef
        scores, rows = self._index.search(vector[None], k)
        found = zip(rows[0].tolist(), scores[0].tolist(), strict=True)
        return [(self._docids[row], score) for row, score in found if row >= 0]


def dot_product_baselines(cache: Path, data: Collection, size: int) -> list[DotProduct]:
    """All that can be had, over the first `size` documents."""
    baselines: list[DotProduct] = [LuceneHnsw(write_index(cache, data, size, "inner_product"))]
    try:
        import faiss
    except ImportError:
        return baselines
    ids, _, vectors = data.rows(size)
    flat = faiss.IndexFlatIP(vectors.shape[1])
    flat.add(vectors)
    graph = faiss.IndexHNSWFlat(vectors.shape[1], 16, faiss.METRIC_INNER_PRODUCT)
    graph.hnsw.efConstruction = 100
    graph.add(vectors)
    return [
        *baselines,
        Faiss("Faiss flat", flat, ids, False),
        Faiss("Faiss HNSW", graph, ids, True),
    ]
