"""The runs that are compared: every model in every role on one collection, kept as TREC files."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from hypserini.errors import CollectionError, TopicsError
from hypserini.evaluate import Qrels, load_qrels
from hypserini.formats.runs import write_run
from hypserini.formats.topics import load_topics
from hypserini.index.build import build_index
from hypserini.index.metadata import IndexMetadata
from hypserini.index.options import IndexOptions
from hypserini.index.reader import Index
from hypserini.modeling import DualEncoder, load_model
from hypserini.search import Hits, LuceneHypencoderSearcher
from hypserini.search.bm25 import Bm25
from hypserini.search.command.stages import FUSED_TOGETHER
from hypserini.search.hybrid import HybridOptions, fuse

logger = logging.getLogger(__name__)

HITS = 100
"""Documents of a topic in every run, and what is fused: no measure here looks further down."""

FIRST_STAGE = "first stage"
RERANKER = "reranker"
HYBRID = "hybrid"
ROLES = (FIRST_STAGE, RERANKER, HYBRID)


@dataclass(frozen=True, slots=True)
class System:
    """What a run is of: a model in one of `ROLES`, or BM25."""

    model: str
    role: str = FIRST_STAGE

    @property
    def file_name(self) -> str:
        """The name of its run, and the tag in it."""
        return f"{self.model}.{self.role}".replace(" ", "-")


BM25 = System("BM25")


@dataclass(frozen=True, slots=True)
class How:
    """How models are run.

    Attributes:
        reranked: documents of BM25 that are reranked.
        device, dtype: of the models, as `load_model` takes them.
        progress: whether to show bars.
    """

    reranked: int = HITS
    device: str = "auto"
    dtype: str = "float32"
    progress: bool = True


@dataclass(frozen=True, slots=True)
class TestSet:
    """A collection with the topics that are judged, and the folder of its indexes and runs."""

    __test__ = False  # no class of tests, whatever pytest makes of the name

    title: str
    folder: Path
    collection: Path
    qids: list[str]
    texts: list[str]
    qrels: Qrels

    @property
    def runs(self) -> Path:
        """The folder of the runs."""
        return self.folder / "runs"

    @classmethod
    def read(cls, title: str, folder: Path, collection: Path, topics: Path, qrels: Path) -> TestSet:
        """Of files.

        Raises:
            CollectionError: there is no such collection.
            TopicsError: topics that cannot be read, or a judged one that is not among them.
            RunError: judgements that cannot be read.
        """
        if not collection.is_file():
            raise CollectionError(f"the collection {collection} does not exist.")
        judged = load_qrels(qrels)
        items = [(q, text) for q, text in load_topics(topics).items if q in judged.judgements]
        lacking = judged.judgements.keys() - {qid for qid, _ in items}
        if lacking:
            raise TopicsError(
                f"{topics} lacks {len(lacking)} of the topics that {qrels} judges, "
                f"{min(lacking)} among them: give the topics that were judged."
            )
        qids, texts = [qid for qid, _ in items], [text for _, text in items]
        return cls(title, folder, collection, qids, texts, judged)


def rank_all(test_set: TestSet, models: Mapping[str, str], how: How) -> dict[System, Path]:
    """Rank with BM25 and with each model in each role; the run files, BM25's first.

    Runs of an earlier comparison are removed: they may be of other topics or documents.

    Args:
        test_set: what is searched.
        models: folders or names of models by the names to give them.
        how: how the models are run.
    """
    for earlier in test_set.runs.glob("*.txt"):
        earlier.unlink()
    words: list[Hits] | None = None
    runs: dict[System, Path] = {}
    for name, path in models.items():
        started = time.perf_counter()
        model = load_model(path, device=how.device, dtype=how.dtype)
        index = find_index(test_set, name, model, how)
        if words is None:
            # The text is the same in every index.
            with Bm25(index) as bm25:
                words = [bm25.search(q, max(HITS, how.reranked)) for q in test_set.texts]
            runs[BM25] = _write(test_set, BM25, words)
        with LuceneHypencoderSearcher(index, model, device=how.device, dtype=how.dtype) as searcher:
            for role, rankings in _rank(test_set, searcher, words, how).items():
                system = System(name, role)
                runs[system] = _write(test_set, system, rankings)
        seconds = time.perf_counter() - started
        logger.info("%s, %s: %.0f s", test_set.title, name, seconds)
    return runs


def find_index(test_set: TestSet, name: str, model: DualEncoder, how: How) -> Path:
    """The index of the collection by a model: the one there, if it is of both, or a new one."""
    with test_set.collection.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    collection = f"{test_set.collection.parent.name} {digest[:12]}"
    folder = test_set.folder / f"index.{name}"
    if folder.is_dir():
        with Index(folder) as index:
            found = IndexMetadata.from_user_data(index.metadata, str(folder))
        if found and (found.fingerprint, found.collection) == (model.fingerprint, collection):
            return folder
    build_index(
        test_set.collection,
        folder,
        model,
        IndexOptions(vectors="flat"),
        overwrite=True,
        progress=how.progress,
        collection_name=collection,
    )
    return folder


def _rank(
    test_set: TestSet, searcher: LuceneHypencoderSearcher, words: Sequence[Hits], how: How
) -> dict[str, list[Hits]]:
    """The rankings of all topics by a model in each of its roles."""
    qids, texts = test_set.qids, test_set.texts
    found = tqdm(
        searcher.stream_search(texts, qids, HITS, mode="exhaustive"),
        total=len(qids),
        desc="searching",
        unit=" topics",
        disable=not how.progress,
    )
    everywhere = [hits for _, hits in found]
    given = {qid: hits[: how.reranked] for qid, hits in zip(qids, words, strict=True)}
    reranked = searcher.batch_rerank(texts, qids, given, HITS)
    fused: list[Hits] = []
    for start in range(0, len(qids), FUSED_TOGETHER):
        part = slice(start, start + FUSED_TOGETHER)
        fused += fuse(words[part], everywhere[part], HITS, HybridOptions("rrf"))
    return {FIRST_STAGE: everywhere, RERANKER: list(reranked.values()), HYBRID: fused}


def _write(test_set: TestSet, system: System, rankings: Iterable[Hits]) -> Path:
    path = test_set.runs / f"{system.file_name}.txt"
    with write_run(path, tag=system.file_name) as writer:
        for qid, hits in zip(test_set.qids, rankings, strict=True):
            writer.write(qid, hits[:HITS])
    return path
