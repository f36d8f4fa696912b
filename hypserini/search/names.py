"""Topics and judgements by the names that Pyserini knows, from its caches or fetched by Anserini.

Pyserini 1 (Anserini 1) and Pyserini 2 (Anserini 2) name the files alike (`topics.NAME.txt`,
`qrels.NAME.txt`, with a dot where the name may have a hyphen) but cache them in different folders,
and only the older knows its names without the web. So the caches of both are searched here first,
which needs neither a JVM nor the web.
"""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path
from typing import Any

from hypserini.errors import HypseriniError

TOPICS = "topics"
QRELS = "qrels"

SHORT_NAMES = {
    "dl19": "dl19-passage",
    "dl20": "dl20-passage",
    "dev": "msmarco-passage-dev-subset",
}
# Names that Pyserini gives to one and the same file, with hyphens for all punctuation.
_SAME_FILE = {
    (TOPICS, "dl20-passage"): "dl20",
    (TOPICS, "dl20-doc"): "dl20",
    (QRELS, "dl20"): "dl20-passage",
    **{
        (kind, f"msmarco-{version}passage-dev"): "msmarco-passage-dev-subset"
        for kind in (TOPICS, QRELS)
        for version in ("", "v1-")
    },
}
_BEIR = (
    *("trec-covid", "bioasq", "nfcorpus", "nq", "hotpotqa", "fiqa", "signal1m", "trec-news"),
    *("robust04", "arguana", "webis-touche2020", "quora", "dbpedia-entity", "scidocs", "fever"),
    *("climate-fever", "scifact"),
)
# What to suggest when the full list is on the web and the web cannot be reached.
WELL_KNOWN = (
    *SHORT_NAMES,
    *SHORT_NAMES.values(),
    *("dl19-doc", "dl20-doc", "dl21", "dl22", "dl23", "robust04", "robust05", "core17", "core18"),
    *(f"covid-round{number}" for number in range(1, 6)),
    *(f"beir-v1.0.0-{name}-test" for name in _BEIR),
)
_CLASSES = {TOPICS: "io.anserini.search.topicreader.Topics", QRELS: "io.anserini.eval.Qrels"}


class UnknownNameError(HypseriniError):
    """A name that leads to no file; the message says what is near, or why it cannot be fetched."""


def canonical_name(name: str) -> str:
    """Return the full name for one of the short names (dl19, dl20, dev), any other unchanged."""
    return SHORT_NAMES.get(name.lower(), name)


def name_of_file(path: str | os.PathLike[str]) -> str:
    """Return the name that a file is known by: `topics.dl19-passage.txt` is dl19-passage."""
    stem = re.sub(r"(\.(txt|tsv|jsonl?|xml|trec))?(\.gz)?$", "", Path(path).name)
    return re.sub(r"^(topics|qrels)\.", "", stem)


def plain(name: str) -> str:
    """Return a name in the form in which names are compared: lower case, hyphens only."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower())


def cache_folders(kind: str) -> list[Path]:
    """Return the folders in which either Pyserini keeps topics or qrels, best first."""
    bases = [Path.cwd() / ".cache" / "pyserini", Path.home() / ".cache" / "pyserini"]
    if named := os.environ.get("PYSERINI_CACHE"):
        bases.insert(0, Path(named))
    return [base / folder for base in bases for folder in (kind, "topics-and-qrels")]


def find_cached(kind: str, name: str) -> Path | None:
    """Return the cached file of a name, or None; without a JVM and without the web.

    Args:
        kind: "topics" or "qrels".
        name: a name as Pyserini knows it, or a short one.
    """
    wanted = _stems(kind, name)
    for folder in cache_folders(kind):
        if folder.is_dir():
            for file in sorted(folder.glob(f"{kind}.*")):
                if plain(name_of_file(file)) in wanted:
                    return file
    return None


def find(kind: str, name: str) -> Path:
    """Return the file of a name, from a cache or else fetched by Anserini into its cache.

    Raises:
        UnknownNameError: nobody knows the name, or its file is not cached and cannot be fetched.
    """
    return find_cached(kind, name) or _fetch(kind, name)


def _stems(kind: str, name: str) -> list[str]:
    """Return what a file of this name may be called, in the form of `plain`."""
    base = plain(canonical_name(name))
    same = _SAME_FILE.get((kind, base))
    return [same or base, f"{base}-test"]


def _fetch(kind: str, name: str) -> Path:
    try:
        entry, names = _lookup(kind, name)
    except _Unreachable as error:
        raise UnknownNameError(
            f"{kind} {name}: not a file, not in Pyserini's cache, and its list of names cannot be "
            f"had ({error}){_suggest(name, WELL_KNOWN)}; give the path of a file, or put it as "
            f"{_expected_file(kind, name)}."
        ) from error
    if entry is None:
        raise UnknownNameError(
            f"{kind} {name}: neither a file nor a name that Pyserini knows"
            f"{_suggest(name, (*names, *WELL_KNOWN))}."
        )
    from hypserini.jvm import java_class

    file = java_class("java.nio.file.Path").of(entry)
    try:
        if kind == TOPICS:
            reader = java_class("io.anserini.search.topicreader.TopicReader")
            return Path(reader.getTopicPath(file).toString())
        if _has_enum(kind):
            judgments = java_class("io.anserini.eval.RelevanceJudgments")
            return Path(judgments.getQrelsPath(file).toString())
        return Path(java_class(_CLASSES[kind]).resolveQrelsPath(entry).toString())
    except _java_exception() as error:
        raise UnknownNameError(
            f"{kind} {name} cannot be fetched ({_reason(error)}): put the file as "
            f"{cache_folders(kind)[-1] / Path(entry).name}, or give the path of a file."
        ) from error


class _Unreachable(Exception):
    pass


def _lookup(kind: str, name: str) -> tuple[str | None, list[str]]:
    """Return the file name that Anserini has for a name (None: unknown), and the known names."""
    try:
        return _lookup_enum(kind, name) if _has_enum(kind) else _lookup_registry(kind, name)
    except _java_exception() as error:
        raise _Unreachable(_reason(error)) from error
    except HypseriniError as error:
        raise _Unreachable(str(error)) from error


def _has_enum(kind: str) -> bool:
    from hypserini.jvm import java_class

    return hasattr(java_class(_CLASSES[kind]), "values")


def _lookup_enum(kind: str, name: str) -> tuple[str | None, list[str]]:
    """Anserini 1: an enum whose constants hold the file name."""
    from hypserini.jvm import java_class

    wanted = _stems(kind, name)
    entries = {entry.path: entry.name() for entry in java_class(_CLASSES[kind]).values()}
    names = [name_of_file(path) for path in entries]
    for path, constant in entries.items():
        # TREC1_ADHOC is trec1-adhoc to Pyserini, while its file is topics.adhoc.51-100.txt.
        if plain(name_of_file(path)) in wanted or plain(constant) in wanted:
            return path, names
    return None, names


def _lookup_registry(kind: str, name: str) -> tuple[str | None, list[str]]:
    """Anserini 2: a registry read from the web at its first use."""
    from hypserini.jvm import java_class

    registry: Any = java_class(_CLASSES[kind])
    names = list(registry.names().toArray())
    known = {plain(each): each for each in names}
    for wanted in (canonical_name(name), *(known.get(stem) for stem in _stems(kind, name))):
        if wanted is None:
            continue
        if kind == QRELS:
            if wanted in names:
                return wanted, names
        elif (entry := registry.get(wanted)) is not None:
            return entry.path, names
    return None, names


def _suggest(name: str, names: tuple[str, ...]) -> str:
    by_plain = {plain(each): each for each in names}
    near = difflib.get_close_matches(plain(name), by_plain, n=3, cutoff=0.6)
    return f"; the nearest names are {', '.join(by_plain[each] for each in near)}" if near else ""


def _expected_file(kind: str, name: str) -> Path:
    return cache_folders(kind)[-1] / f"{kind}.{_stems(kind, name)[0]}.txt"


def _java_exception() -> type[Exception]:
    try:
        from jnius import JavaException
    except Exception:  # No JVM at all: jvm.py says so in its own words.
        return _Unreachable
    return JavaException


def _reason(error: Exception) -> str:
    text = str(error).split("\n", 1)[0]
    return re.sub(r"^JVM exception occurred: ", "", text).rstrip(".")
