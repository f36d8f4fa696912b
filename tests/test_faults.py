"""What is said of exceptions that no code of ours raises."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from hypserini import jvm
from hypserini.errors import HypseriniError
from hypserini.faults import sentence


def raised(cause) -> BaseException:
    with pytest.raises(Exception) as caught:  # noqa: PT011
        cause()
    return caught.value


@pytest.mark.parametrize(
    "cause",
    [
        lambda: torch.empty(2**55),
        lambda: torch.empty(2**40, 2**20),
        lambda: np.empty(2**55),
        lambda: bytearray(2**55),
        lambda: os.read(0, 2**62),
    ],
)
def test_memory_that_is_not_there(cause) -> None:
    said = sentence(raised(cause))
    assert said is not None
    assert said.startswith(("out of memory (", "Bad file", "Invalid"))


def test_what_devices_and_workers_say_of_memory() -> None:
    for error in (
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB."),
        RuntimeError("MPS backend out of memory (MPS allocated: 9.00 GB)"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed."),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
    ):
        assert (sentence(error) or "").startswith("out of memory (")


def test_files_and_disks(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    assert sentence(raised(missing.read_text)) == (
        f"{missing}: No such file or directory: check the path."
    )
    full = sentence(OSError(errno.ENOSPC, "No space left on device"))
    assert full == "No space left on device: free some space, or write to another disk."
    assert "ulimit -n" in (sentence(OSError(errno.EMFILE, "Too many open files")) or "")
    assert sentence(ConnectionError("the hub is away")) == "the hub is away."
    assert sentence(OSError()) == "OSError."


def test_a_java_that_fails_in_its_own_way() -> None:
    java = raised(lambda: jvm.java_class("java.lang.Integer").parseInt("x"))
    said = sentence(java) or ""
    assert said.startswith('Java failed: For input string: "x"')
    assert "java.lang.NumberFormatException" in said


def test_our_errors_speak_for_themselves_and_faults_of_ours_are_not_hidden() -> None:
    assert sentence(HypseriniError("so it is.")) == "so it is."
    for error in (ValueError("x"), KeyError("x"), RuntimeError("x"), AssertionError()):
        assert sentence(error) is None
