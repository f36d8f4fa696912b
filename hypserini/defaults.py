"""What is used when a flag is left out: models, collections and indexes by name."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from hypserini.errors import IndexingError

BUNDLED_MODEL = "hypserini-small"
"""The small model that comes with the package."""

INDEX_ROOT_VARIABLE = "HYPSERINI_INDEXES"
INDEX_VARIABLE = "HYPSERINI_INDEX"
MODEL_VARIABLE = "HYPSERINI_MODEL"
CACHE_VARIABLE = "HYPSERINI_CACHE"


@dataclass(frozen=True, slots=True)
class KnownCollection:
    """A collection that has a name, and the model its default index is made with."""

    name: str
    model: str

    @property
    def build_command(self) -> str:
        """The command that builds the default index of this collection."""
        if self.name == DEMO_COLLECTION.name:
            return "make index"
        return f"make index COLLECTION={self.name}"


MSMARCO_PASSAGE = KnownCollection("msmarco-v1-passage", "jfkback/hypencoder.6_layer")
DEMO_COLLECTION = KnownCollection("python-docs", BUNDLED_MODEL)

COLLECTIONS = {known.name: known for known in (MSMARCO_PASSAGE, DEMO_COLLECTION)}


def index_name(collection: str, model: str) -> str:
    """The name of an index: the collection and the last part of the model's name.

    >>> index_name("msmarco-v1-passage", "jfkback/hypencoder.6_layer")
    'msmarco-v1-passage.hypencoder.6_layer'
    """
    return f"{collection}.{model.rstrip('/').rsplit('/', 1)[-1]}"


def index_path(name: str | os.PathLike[str]) -> Path:
    """The folder that the name of an index means: `~` is the home folder.

    Raises:
        IndexingError: The name is empty.
    """
    if not str(name).strip():
        raise IndexingError("the name of the index is empty: give a folder as --index.")
    return Path(os.path.expanduser(name))


def index_root() -> Path:
    """The folder of the indexes: `$HYPSERINI_INDEXES`, or `indexes` in the working folder."""
    return index_path(os.environ.get(INDEX_ROOT_VARIABLE) or "indexes")


def find_index(name: str) -> Path:
    """Where the index of a name lies in the folder of the indexes.

    Raises:
        IndexingError: There is none of that name; says which there are.
    """
    root = index_root()
    if not (root / name).is_dir():
        there = sorted(p.name for p in root.glob("*") if p.is_dir() and p.suffix != ".building")
        raise IndexingError(
            f"there is no index {name} in {root} (there are: {', '.join(there) or 'none'}): build"
            f" it with `python -m hypserini.index`, or set ${INDEX_ROOT_VARIABLE} to the folder"
            " that holds it."
        )
    return root / name


def default_index(collection: KnownCollection, model: str | None = None) -> Path:
    """Where the index of a known collection lies: `$HYPSERINI_INDEX`, or by its name."""
    if named := os.environ.get(INDEX_VARIABLE):
        return index_path(named)
    return index_root() / index_name(collection.name, model or default_model(collection))


def default_model(collection: KnownCollection | None = None) -> str:
    """The model to index a collection with: `$HYPSERINI_MODEL`, the collection's, the bundled."""
    return os.environ.get(MODEL_VARIABLE) or (collection.model if collection else BUNDLED_MODEL)


def cache_folder() -> Path:
    """Where what is made once is kept: `$HYPSERINI_CACHE`, or `~/.cache/hypserini`."""
    return Path(os.environ.get(CACHE_VARIABLE) or "~/.cache/hypserini").expanduser()
