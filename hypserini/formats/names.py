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
from collections.abc import Iterable
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
_READER = "io.anserini.search.topicreader.TopicReader"
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


def part_of_a_name(name: str | os.PathLike[str]) -> str:
    """Return what a file or a data set is called within the name of what is made of it.

    >>> part_of_a_name("data/topics.dl20.txt"), part_of_a_name("irds:beir/nfcorpus/test")
    ('dl20', 'irds-beir-nfcorpus-test')
    """
    if re.match(r"\w+:", str(name)):
        return re.sub(r"[^\w.-]+", "-", str(name))
    return name_of_file(os.path.abspath(name))


def plain(name: str) -> str:
    """Return a name in the form in which names are compared: lower case, hyphens only."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower())


def cache_folders(kind: str) -> list[Path]:
    """Return the folders in which either Pyserini keeps topics or qrels, best first."""
    bases = [Path.home() / ".cache" / "pyserini"]
    if (Path.cwd() / ".cache").is_dir():
        bases.insert(0, Path.cwd() / ".cache" / "pyserini")
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
        if canonical_name(name) in WELL_KNOWN:
            raise _cannot_fetch(kind, name, _file_name(kind, name), error) from error
        raise UnknownNameError(
            f"unknown {kind} {name}: neither a file nor in Pyserini's cache, and the list of all "
            f"names cannot be had ({error}){_suggest(name, WELL_KNOWN)}."
        ) from error
    if entry is None:
        raise UnknownNameError(
            f"unknown {kind} {name}: neither a file nor a name that Pyserini knows"
            f"{_suggest(name, (*WELL_KNOWN, *names))}."
        )
    from hypserini.jvm import java_class

    file = java_class("java.nio.file.Path").of(entry)
    try:
        if kind == TOPICS:
            return Path(java_class(_READER).getTopicPath(file).toString())
        if _has_enum(kind):
            judgments = java_class("io.anserini.eval.RelevanceJudgments")
            return Path(judgments.getQrelsPath(file).toString())
        return Path(java_class(_CLASSES[kind]).resolveQrelsPath(entry).toString())
    except _java_exception() as error:
        raise _cannot_fetch(kind, name, Path(entry).name, error) from error


class _Unreachable(Exception):
    pass


def _cannot_fetch(kind: str, name: str, file: str, error: Exception) -> UnknownNameError:
    place = cache_folders(kind)[1] / file
    return UnknownNameError(
        f"{kind} {name} cannot be fetched ({_reason(error)}): put the file as {place}, or give the "
        "path of a file."
    )


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


def _suggest(name: str, names: Iterable[str]) -> str:
    by_plain: dict[str, str] = {}
    for each in names:
        by_plain.setdefault(plain(each), each)
    near = difflib.get_close_matches(plain(name), by_plain, n=3, cutoff=0.6)
    return f"; the nearest names are {', '.join(by_plain[each] for each in near)}" if near else ""


def _file_name(kind: str, name: str) -> str:
    full = canonical_name(name)
    return f"{kind}.{_SAME_FILE.get((kind, plain(full)), full)}.txt"


def _java_exception() -> type[Exception]:
    try:
        from jnius import JavaException
    except Exception:  # No JVM at all: jvm.py says so in its own words.
        return _Unreachable
    return JavaException


def _reason(error: Exception) -> str:
    text = str(error).split("\n", 1)[0]
    return re.sub(r"^JVM exception occurred: ([\w.]+: )?", "", text).rstrip(".")
