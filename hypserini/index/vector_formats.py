"""The formats that an index keeps vectors in, by name: `--vectors`, and `VectorFormats.java`."""

from __future__ import annotations

from dataclasses import dataclass

from hypserini.errors import IndexingError
from hypserini.jvm import jar


@dataclass(frozen=True, slots=True)
class VectorFormat:
    """One of Lucene's formats. All keep the raw floats, which q-nets score.

    Attributes:
        bits: Of a component in the copy of the vectors that steers the search in the graph; 32:
            the raw floats themselves.
        has_graph: There is a graph for approximate search.
        line: The first Lucene that has it.
    """

    bits: int = 32
    has_graph: bool = True
    line: int = 9


VECTOR_FORMATS = {
    "hnsw": VectorFormat(),
    "hnsw-int8": VectorFormat(bits=7),
    "hnsw-int4": VectorFormat(bits=4, line=10),
    "hnsw-bbq": VectorFormat(bits=1, line=10),
    "flat": VectorFormat(has_graph=False),
}


def vector_format(name: str) -> VectorFormat:
    """The format of a name.

    Raises:
        ValueError: There is none of this name.
        IndexingError: The installed Lucene does not have it.
    """
    if name not in VECTOR_FORMATS:
        raise ValueError(f"vectors is {name!r} and must be one of {', '.join(VECTOR_FORMATS)}")
    format = VECTOR_FORMATS[name]
    line = jar.lucene_line(jar.anserini_jar())
    if line < format.line:
        here = ", ".join(name for name, one in VECTOR_FORMATS.items() if one.line <= line)
        raise IndexingError(
            f"the vector format {name} came with Lucene {format.line}, and the installed Pyserini"
            f" brings Lucene {line}: choose one of {here}, or install Pyserini 2.4 or newer (Python"
            " 3.12)."
        )
    return format
