"""A small retrieval task to validate on: queries, documents and judgements in memory."""

from __future__ import annotations

import logging
import random
from collections.abc import Collection as Container
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from hypserini.errors import TrainingError
from hypserini.formats.beir import beir_file
from hypserini.formats.collection import Collection
from hypserini.formats.qrels import load_qrels
from hypserini.formats.topics import load_topics

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RetrievalSet:
    """What a retrieval is validated on.

    Attributes:
        queries: query id -> text; only queries that have a relevant document among `documents`.
        documents: document id -> text, in the order of the collection; "" where only their
            vectors are wanted.
        qrels: query id -> document id -> grade, for the queries alone; above 0 is relevant.
    """

    queries: dict[str, str]
    documents: dict[str, str]
    qrels: dict[str, dict[str, int]]


def read_retrieval_set(
    folder: str | Path | None = None,
    *,
    split: str = "dev",
    queries: str | Path | None = None,
    documents: str | Path | None = None,
    qrels: str | Path | None = None,
    max_queries: int | None = None,
    max_documents: int | None = None,
    seed: int = 0,
    docids: Iterable[str] | None = None,
) -> RetrievalSet:
    """Read a BEIR folder, or three files; no Java is started.

    Args:
        folder: of BEIR's form: corpus.jsonl, queries.jsonl, qrels/<split>.tsv; each may end in
            .gz. A file that is given by itself goes before the folder's.
        split: which judgements of the folder.
        queries: topics in any form that `hypserini.search` reads (TSV, JSON lines, ...).
        documents: a collection in any form that `hypserini.index` reads.
        qrels: judgements, TREC's or BEIR's.
        max_queries: so many queries at most, drawn by `seed`.
        max_documents: so many documents at most: all judged ones and others drawn by `seed`, so
            that validating on a large collection stays quick (figures are then too high, but
            comparable among themselves). Judged documents may be more than these.
        seed: of both drawings.
        docids: the documents, in place of a collection, where no texts are needed.

    Raises:
        TrainingError: something is not named or not there, or no query has a relevant document.
        TopicsError, CollectionError, RunError: a file is malformed; names file and line.
    """
    known = docids is not None
    if known and documents is not None:
        raise TrainingError(
            f"{documents} is not read where passage_vectors hold the documents: leave documents out"
            " of the validation."
        )
    paths = _paths(folder, split, queries, "the vectors" if known else documents, qrels)
    judgements = load_qrels(paths["qrels"]).judgements
    texts = {
        qid: text
        for qid, text in load_topics(paths["queries"])
        if any(grade > 0 for grade in judgements.get(qid, {}).values())
    }
    if not texts:
        raise TrainingError(
            f"no query of {paths['queries']} has a relevant document in {paths['qrels']}: "
            "check that their query ids are the same."
        )
    if max_queries is not None and len(texts) > max_queries:
        kept = sorted(random.Random(f"{seed} queries").sample(range(len(texts)), max_queries))
        names = list(texts)
        texts = {names[n]: texts[names[n]] for n in kept}
    judged = {docid for qid in texts for docid in judgements[qid]}
    collection = (
        ((docid, "") for docid in docids)
        if docids is not None
        else ((d.docid, d.contents) for d in Collection(paths["documents"]))
    )
    found = _read_documents(collection, judged, max_documents, seed)
    if missing := len(judged) - sum(docid in found for docid in judged):
        logger.warning("%d judged documents are not in %s.", missing, paths["documents"])
    texts = {
        qid: text
        for qid, text in texts.items()
        if any(grade > 0 and docid in found for docid, grade in judgements[qid].items())
    }
    if not texts:
        raise TrainingError(
            f"no document that {paths['qrels']} calls relevant is in {paths['documents']}: "
            "check that their document ids are the same."
        )
    logger.info("Validation by retrieval: %d queries, %d documents.", len(texts), len(found))
    return RetrievalSet(texts, found, {qid: judgements[qid] for qid in texts})


def _paths(
    folder: str | Path | None,
    split: str,
    queries: str | Path | None,
    documents: str | Path | None,
    qrels: str | Path | None,
) -> dict[str, str | Path]:
    given = {"queries": queries, "documents": documents, "qrels": qrels}
    usual = {"queries": "queries.jsonl", "documents": "corpus.jsonl", "qrels": f"qrels/{split}.tsv"}
    paths: dict[str, str | Path] = {}
    for name, path in given.items():
        if path is not None:
            paths[name] = path
        elif folder is None:
            raise TrainingError(
                f"a retrieval set needs a folder of BEIR's form, or its {name}: name a file."
            )
        else:
            paths[name] = beir_file(folder, usual[name])
    return paths


def _read_documents(
    collection: Iterable[tuple[str, str]], judged: Container[str], most: int | None, seed: int
) -> dict[str, str]:
    """Read a collection, or the judged documents and enough others to make `most`."""
    if most is None:
        return dict(collection)
    rng = random.Random(f"{seed} documents")
    # Reservoir sampling: in one pass, each other document is kept with the same probability.
    room = max(0, most - len(judged))
    kept: dict[int, tuple[str, str]] = {}
    slots: list[int] = []
    others = 0
    for number, (docid, contents) in enumerate(collection):
        if docid in judged:
            kept[number] = (docid, contents)
            continue
        others += 1
        if len(slots) < room:
            slots.append(number)
        else:
            slot = rng.randrange(others)
            if slot >= room:
                continue
            del kept[slots[slot]]
            slots[slot] = number
        kept[number] = (docid, contents)
    return dict(kept[number] for number in sorted(kept))
