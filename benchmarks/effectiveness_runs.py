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

BUILDING = ".building"
"""What the name of an index ends in that is not finished."""


@dataclass(frozen=True, slots=True)
class System:
    """What a run is of: a model in one of `ROLES`, or BM25."""

    model: str
    role: str = FIRST_STAGE

    def file_name(self, seed: int | None = None) -> str:
        """The name of its run, or of one of several, and the tag in it."""
        number = "" if seed is None else f".{seed}"
        return f"{self.model}{number}.{self.role}".replace(" ", "-")


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
    """A collection with the topics that are judged, and the folder of its indexes and runs.

    Where an `index` is given, it is searched, and no document encoded.
    """

    __test__ = False  # no class of tests, whatever pytest makes of the name

    title: str
    folder: Path
    collection: Path
    qids: list[str]
    texts: list[str]
    qrels: Qrels
    index: Path | None = None

    @property
    def runs(self) -> Path:
        """The folder of the runs."""
        return self.folder / "runs"

    @classmethod
    def read(
        cls,
        title: str,
        folder: Path,
        collection: Path,
        topics: Path,
        qrels: Path,
        index: Path | None = None,
    ) -> TestSet:
        """Of files.

        Raises:
            CollectionError: there is no such collection.
            TopicsError: topics that cannot be read, or a judged one that is not among them.
            RunError: judgements that cannot be read.
        """
        if index is None and not collection.is_file():
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
        return cls(title, folder, collection, qids, texts, judged, index)


def rank_all(
    test_set: TestSet, models: Mapping[str, Sequence[str]], how: How
) -> dict[System, list[Path]]:
    """Rank with BM25 and with each model in each role; the run files, BM25's first.

    Runs of an earlier comparison are removed: they may be of other topics or documents.

    Args:
        test_set: what is searched.
        models: folders or names of models by the names to give them, of several seeds perhaps.
        how: how the models are run.
    """
    for earlier in test_set.runs.glob("*.txt"):
        earlier.unlink()
    words: list[Hits] | None = None
    runs: dict[System, list[Path]] = {}
    for name, seed, path in _each(models):
        started = time.perf_counter()
        model = load_model(path, device=how.device, dtype=how.dtype)
        index = test_set.index or find_index(test_set, name, model, how)
        if words is None:
            # The text is the same in every index.
            with Bm25(index) as bm25:
                words = [bm25.search(q, max(HITS, how.reranked)) for q in test_set.texts]
            runs[BM25] = [_write(test_set, BM25.file_name(), words)]
        with LuceneHypencoderSearcher(index, model, device=how.device, dtype=how.dtype) as searcher:
            for role, rankings in _rank(test_set, searcher, words, how).items():
                system = System(name, role)
                written = _write(test_set, system.file_name(seed), rankings)
                runs.setdefault(system, []).append(written)
        seconds = time.perf_counter() - started
        logger.info("%s, %s: %.0f s", test_set.title, path, seconds)
    return runs


def _each(models: Mapping[str, Sequence[str]]) -> Iterable[tuple[str, int | None, str]]:
    for name, paths in models.items():
        for seed, path in enumerate(paths, start=1):
            yield name, seed if len(paths) > 1 else None, path


def find_index(test_set: TestSet, name: str, model: DualEncoder, how: How) -> Path:
    """The index of the collection by a model: one there of both, or a new one.

    Heads over the vectors of one encoder, and that encoder, share an index. A build that was
    stopped is gone on with: its name says of which model and documents it is.
    """
    with test_set.collection.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    collection = f"{test_set.collection.parent.name} {digest[:12]}"
    for there in sorted(test_set.folder.glob("index.*")):
        if there.suffix == BUILDING:
            continue
        with Index(there) as index:
            found = IndexMetadata.from_user_data(index.metadata, str(there))
        if found and (found.fingerprint, found.collection) == (model.fingerprint, collection):
            return there
    made_of = hashlib.sha256(f"{model.fingerprint} {collection}".encode()).hexdigest()
    folder = test_set.folder / f"index.{name}.{made_of[:12]}"
    unfinished = folder.with_name(folder.name + BUILDING).exists()
    build_index(
        test_set.collection,
        folder,
        model,
        IndexOptions(vectors="flat"),
        overwrite=not unfinished,
        resume=unfinished,
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


def _write(test_set: TestSet, name: str, rankings: Iterable[Hits]) -> Path:
    path = test_set.runs / f"{name}.txt"
    with write_run(path, tag=name) as writer:
        for qid, hits in zip(test_set.qids, rankings, strict=True):
            writer.write(qid, hits[:HITS])
    return path
