"""Importing Pyserini's modules: what stops the import is told in a sentence."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hypserini.errors import HypseriniError
from hypserini.pyserini_compat import import_pyserini


def test_a_module_that_needs_the_web_is_named(tmp_path: Path, monkeypatch) -> None:
    # As Pyserini 2.4 does, here by a module of its kind: the web may be there after all.
    (tmp_path / "asks_the_web.py").write_text(
        "from urllib.error import URLError\nraise URLError('no such host')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(
        HypseriniError, match=r"web to import asks_the_web \(.*no such host"
    ) as error:
        import_pyserini("asks_the_web")
    assert "\n" not in str(error.value)


def test_pyserini_finds_our_jvm_and_a_key(monkeypatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    pyclass = import_pyserini("pyserini.pyclass")
    assert pyclass.autoclass("io.anserini.index.Constants").ID == "id"
    assert os.environ["OPENAI_API_KEY"]
