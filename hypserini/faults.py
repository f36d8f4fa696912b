"""Exceptions that a user can cause and no code of ours raises: what to say of them.

They come from the operating system, from torch and from Java; the command line shows the sentence
in place of a traceback.
"""

from __future__ import annotations

import errno

from hypserini.errors import HypseriniError

# What torch, numpy and their libraries say when there is not enough memory, in lower case.
_NO_MEMORY = (
    "out of memory",
    "can't allocate memory",
    "cannot allocate memory",
    "not enough memory",
    "unable to allocate",
    "alloc_failed",
    "bad_alloc",
    "insufficient shared memory",
    "is killed by signal: killed",  # a worker of a DataLoader, by the system
)
_DISK_FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
_MENDS = {
    **dict.fromkeys(_DISK_FULL, "free some space, or write to another disk"),
    **dict.fromkeys(
        (errno.EACCES, errno.EPERM), "name another file, or change who may read and write it"
    ),
    errno.EROFS: "name a file on another disk",
    errno.ENOENT: "check the path",
    errno.ENAMETOOLONG: "give a shorter name",
    **dict.fromkeys((errno.EMFILE, errno.ENFILE), "raise the limit with `ulimit -n`"),
}


def sentence(error: BaseException) -> str | None:
    """One sentence about an exception for the user; None for one that is a fault of the program."""
    if isinstance(error, HypseriniError):
        return str(error)
    if _is_out_of_memory(error):
        return (
            f"out of memory ({_first_line(error)}): take less at once, with a smaller --batch-size"
            " or fewer --threads, or a machine or device with more memory."
        )
    if isinstance(error, OSError):
        return _of_the_system(error)
    if isinstance(error, RuntimeError) and "can't start new thread" in str(error):
        return "the system starts no more threads for this process: raise the limit (`ulimit -u`)."
    # Recognised by name: this must not start Java.
    if type(error).__name__ == "JavaException":
        kind, message = getattr(error, "classname", ""), getattr(error, "innermessage", "")
        return f"Java failed: {message or 'no further message'} ({kind})."
    return None


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
        return True
    # torch has a class of its own for devices alone; safetensors and DataLoaders have none.
    text = str(error).lower()
    return isinstance(error, Exception) and any(words in text for words in _NO_MEMORY)


def _of_the_system(error: OSError) -> str:
    what = error.strerror or _first_line(error)
    where = f"{error.filename}: " if error.filename else ""
    mend = _MENDS.get(error.errno or 0)
    return f"{where}{what}: {mend}." if mend else f"{where}{what}."


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200].rstrip(".:") if lines else type(error).__name__
