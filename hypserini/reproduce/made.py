"""A small collection in BEIR's format, the same on every machine, whose queries are paraphrases.

Each document says one action of one thing in its own words, and each query asks for one pair in
other words, so that what a model knows of words shows in the figures.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from hypserini.formats.output import atomic_output, check_writable

ACTIONS = (
    ("remove", "delete", "drop every unwanted part of"),
    ("sort", "order", "arrange ascending or descending the entries of"),
    ("merge", "join", "combine on common keys two copies of"),
    ("split", "divide", "cut into several pieces"),
    ("count", "number", "return how many elements there are in"),
    ("read", "load", "parse from a file on disk"),
    ("write", "save", "store in a file on disk"),
    ("draw", "plot", "show as a figure with axes"),
    ("compare", "test equality", "check whether two objects are the same as"),
    ("copy", "duplicate", "make a new and independent object equal to"),
    ("search", "find", "look up the position of a value in"),
    ("compress", "zip", "make smaller for storage"),
    ("send", "transmit", "post over the network to a server"),
    ("encrypt", "encode secretly", "hide with a key the contents of"),
    ("resize", "scale", "change width and height or the number of entries of"),
    ("convert", "transform", "cast to another type"),
)
THINGS = (
    ("table", "data frame", "rows and named columns"),
    ("string", "text", "a sequence of characters"),
    ("list", "array", "ordered items in memory"),
    ("dictionary", "mapping", "keys with their values"),
    ("image", "picture", "pixels with colors"),
    ("matrix", "two-dimensional array", "numbers for linear algebra"),
    ("date", "time stamp", "day, month, year and hour"),
    ("folder", "directory", "files below a path"),
    ("graph", "network", "nodes joined by edges"),
    ("message", "email", "subject, sender and body"),
    ("tree", "hierarchy", "a root with children and leaves"),
    ("function", "callable", "arguments and a return value"),
    ("model", "estimator", "parameters fitted to training samples"),
    ("page", "HTML document", "elements and links of the web"),
    ("signal", "waveform", "samples over time with a frequency"),
    ("set", "collection without duplicates", "unique members"),
)
EVERY = 3
"""One pair in so many has a query."""


def write_paraphrases(folder: str | Path) -> int:
    """Write corpus.jsonl, queries.jsonl and qrels/test.tsv; returns the number of documents.

    A query's own document has the grade 1; no other is relevant.

    Raises:
        OutputError: the folder cannot be written.
    """
    folder = Path(folder)
    check_writable(folder / "qrels" / "test.tsv")  # makes the folders
    pairs = list(_pairs())
    with atomic_output(folder / "corpus.jsonl") as file:
        for docid, action, thing in pairs:
            title = f"{action[1]} {thing[1]}"
            text = f"{action[2].capitalize()} {thing[1]}: {thing[2]}."
            file.write(json.dumps({"_id": docid, "title": title, "text": text}) + "\n")
    asked = pairs[::EVERY]
    with atomic_output(folder / "queries.jsonl") as file:
        for docid, action, thing in asked:
            text = f"how do I {action[0]} a {thing[0]}"
            file.write(json.dumps({"_id": f"q-{docid}", "text": text}) + "\n")
    # Last, since the collection is taken to be there when this is.
    with atomic_output(folder / "qrels" / "test.tsv") as file:
        file.write("query-id\tcorpus-id\tscore\n")
        file.writelines(f"q-{docid}\t{docid}\t1\n" for docid, _, _ in asked)
    return len(pairs)


def _pairs() -> Iterator[tuple[str, tuple[str, str, str], tuple[str, str, str]]]:
    for action in ACTIONS:
        for thing in THINGS:
            yield f"{action[0]}-{thing[0]}", action, thing
