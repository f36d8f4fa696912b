"""Every error that a user can cause.

A message is one sentence that names the file, the line or the value at fault and how to mend it.
The command line prints it and exits with status 2; libraries raise it.
"""


class HypseriniError(Exception):
    """A mistake that the user can mend; the base of all errors raised on purpose."""


class JavaError(HypseriniError):
    """No usable JDK, no usable jar, or a JVM that cannot be started or joined."""


class ForkError(HypseriniError):
    """A process that was forked from one whose threads it needs."""


class ModelError(HypseriniError):
    """A model that does not exist, cannot be read, or does not fit what it is used for."""


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


class TrainingError(HypseriniError):
    """A training configuration or training data that cannot be used, or a run that diverged."""
