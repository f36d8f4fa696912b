"""The demo's collection, topics and judgements as files, made once for what is installed."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sys
import time
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

from hypserini.errors import OutputError
from hypserini.formats.output import atomic_output
from hypserini.pydocs.docstrings import read_docstrings, write_collection
from hypserini.pydocs.known_item import sample_collection, select_topics, write_qrels, write_topics

logger = logging.getLogger(__name__)

DEFAULT_FOLDER = Path("collections/python-docs")
DEFAULT_DOCUMENTS = 25_000
TOPICS = 400
MAKER = 1
"""Raised when the same packages give another collection."""


@dataclass(frozen=True, slots=True)
class DemoFiles:
    """Where the demo's files lie, and what the collection holds."""

    folder: Path
    documents: int
    packages: int

    @property
    def collection(self) -> Path:
        """The documents, in Pyserini's JSON lines."""
        return self.folder / "docs.jsonl"

    @property
    def topics(self) -> Path:
        """The known-item topics, TSV."""
        return self.folder / "topics.tsv"

    @property
    def qrels(self) -> Path:
        """Their judgements, TREC."""
        return self.folder / "qrels.txt"


def make_collection(
    folder: str | Path = DEFAULT_FOLDER,
    documents: int = DEFAULT_DOCUMENTS,
    *,
    roots: list[Path] | None = None,
    topics: int = TOPICS,
) -> DemoFiles:
    """Make the collection of the installed packages, or find the one that was made of them.

    Args:
        folder: where to.
        documents: at most so many, drawn by docid; the topics' own are always among them.
        roots: folders of packages; by default the running interpreter's.
        topics: at most so many.

    Raises:
        CollectionError: a root is not a folder.
        OutputError: the folder cannot be written, or holds such files that are not ours.
    """
    folder = Path(folder)
    mark = folder / ".made-of.json"
    made_of = {"maker": MAKER, "documents": documents, "topics": topics, "from": _sources(roots)}
    known = _read_mark(mark, made_of)
    if known is not None:
        return DemoFiles(folder, known["count"], known["packages"])
    _check_ours(folder, mark)
    started = time.perf_counter()
    everything = list(read_docstrings(roots))
    chosen = select_topics(everything, topics)
    kept = sample_collection(everything, chosen, documents)
    files = DemoFiles(folder, len(kept), len({d.package for d in kept}))
    with atomic_output(mark) as file:
        json.dump({}, file)  # ours, and not whole yet
    hidden = frozenset(topic.docid for topic in chosen)
    write_collection(kept, files.collection, without_summary=hidden)
    write_topics(chosen, files.topics)
    write_qrels(chosen, files.qrels)
    with atomic_output(mark) as file:
        json.dump({**made_of, "count": files.documents, "packages": files.packages}, file)
    logger.info(
        "%s: %d of %d documentation strings, %d topics, %.1f s",
        files.collection,
        len(kept),
        len(everything),
        len(chosen),
        time.perf_counter() - started,
    )
    return files


def _check_ours(folder: Path, mark: Path) -> None:
    """Refuse to write over files that have the names of ours and no mark beside them."""
    files = DemoFiles(folder, 0, 0)
    for file in (files.collection, files.topics, files.qrels):
        if os.path.lexists(file) and not mark.exists():
            raise OutputError(
                f"{file} exists and was not made here: choose another folder for the collection."
            )


def ensure_collection() -> Path:
    """The file of the demo's collection in its default place and size, made if need be."""
    return make_collection().collection


def _sources(roots: list[Path] | None) -> str:
    """What a collection is made of, in short: the interpreter and every package's version."""
    if roots is not None:
        names = [f"{file}:{file.stat().st_size}" for root in roots for file in root.rglob("*.py")]
    else:
        names = [f"{d.metadata['Name']}=={d.version}" for d in distributions()]
    text = "\n".join([sys.version, *sorted(names)])
    return hashlib.sha256(text.encode()).hexdigest()


def _read_mark(mark: Path, made_of: dict[str, object]) -> dict[str, int] | None:
    """The counts of a collection that is there and made of the same, else None."""
    try:
        known = json.loads(mark.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    same = isinstance(known, dict) and all(known.get(k) == v for k, v in made_of.items())
    return known if same and (mark.parent / "docs.jsonl").exists() else None
