"""Folders of vectors are whole or not there, whatever the disk says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import files_of_at_most

from hypserini.errors import OutputError
from hypserini.formats.vector_writers import FORMATS, Manifest, write_vectors


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("documents", [10, 20_000], ids=["when-closed", "when-written"])
def test_a_full_disk_is_told(tmp_path: Path, format: str, documents: int) -> None:
    manifest = Manifest(format, "model", "print", 8, "cls", 64, "collection")
    docids = [f"d{i}" for i in range(documents)]
    rows = np.random.default_rng(0).normal(size=(documents, 8)).astype(np.float32)

    def write() -> None:
        with files_of_at_most(100), write_vectors(tmp_path / "v", manifest) as writer:
            writer.write(docids, rows, docids, docids)

    with pytest.raises(OutputError, match=r"cannot write .*/v \(.*"):
        write()
    assert list(tmp_path.iterdir()) == []
