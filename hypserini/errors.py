"""Every error that a user can cause.

A message is one sentence that names the file, the line or the value at fault and how to mend it.
The command line prints it and exits with status 2; libraries raise it. Whatever values go into a
message, it stays one line that can be read: `shown` and `named` shorten them.
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterable
from itertools import islice

LONGEST = 480
"""Characters of a message."""


class HypseriniError(Exception):
    """A mistake that the user can mend; the base of all errors raised on purpose."""

    def __str__(self) -> str:
        message = super().__str__()
        if "\n" in message:
            message = " ".join(message.split())
        # A path may be longer than any message: its place is at the beginning, the mend at the end.
        return shorten(message, LONGEST)


def shorten(text: str, width: int = 60) -> str:
    """The text, or its beginning and its end where it is longer than `width` characters."""
    if len(text) <= width:
        return text
    end = width // 3
    return f"{text[: width - end - 3]}...{text[-end:]}"


def shown(value: object, width: int = 60) -> str:
    """A value as a message shows it: as Python writes it, shortened, whatever it is."""
    return shorten(_SHORT.repr(value), width)


def named(names: Iterable[object], most: int = 8) -> str:
    """Some names in a row, for a message; "none" without any."""
    some = list(islice(names, most + 1))
    texts = [
        shorten(name, 40) if isinstance(name, str) and name.isprintable() else shown(name, 40)
        for name in some[:most]
    ]
    return ", ".join([*texts, "..."] if len(some) > most else texts) or "none"


class _Short(reprlib.Repr):
    """Reads no more of a value than is shown of it."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 2
        self.maxdict = self.maxlist = self.maxtuple = self.maxset = self.maxfrozenset = 3
        self.maxstring = self.maxlong = self.maxother = 60

    def repr_int(self, x: int, level: int) -> str:
        try:
            return super().repr_int(x, level)
        except ValueError:  # Python writes no whole number of more than 4,300 digits
            return f"a number of {x.bit_length():,} bits"


_SHORT = _Short()


class JavaError(HypseriniError):
    """No usable JDK, no usable jar, or a JVM that cannot be started or joined."""


class ForkError(HypseriniError):
    """A process that was forked from one whose threads it needs."""


class ModelError(HypseriniError):
    """A model that does not exist, cannot be read, or does not fit what it is used for."""


class MissingModelError(ModelError):
    """A model that is not where its name says."""


class CollectionError(HypseriniError):
    """A collection that is missing or malformed; names the file and the line."""


class IndexingError(HypseriniError):
    """An index that is missing, damaged, already there, or not made for this model."""


class TopicsError(HypseriniError):
    """Topics that are missing or malformed, or a topics name that nobody knows."""


class RunError(HypseriniError):
    """A run or qrels file that is missing or malformed; names the file and the line."""


class MeasureError(HypseriniError):
    """A measure that nobody knows, or one that cannot be computed as asked."""


class OutputError(HypseriniError):
    """An output path that cannot be written."""


class ClusterError(HypseriniError):
    """A Ray cluster that is not there, has too little, or lost what was to answer."""


class TrainingError(HypseriniError):
    """A training configuration or training data that cannot be used, or a run that diverged."""
