"""Runs a Pyserini module without the web: `python pyserini_offline.py MODULE ARGUMENTS...`.

Pyserini 2.4 reads JSON lists of its pre-built indexes and topics from the web at import; here they
are made up. Pyserini 1.6 with a current openai asks for a key at import; any will do.
"""

from __future__ import annotations

import importlib.util
import io
import json
import os
import re
import runpy
import sys
import urllib.request
from pathlib import Path


def offline() -> None:
    """Let Pyserini be imported without the web."""
    os.environ.setdefault("OPENAI_API_KEY", "unused")
    answer_for_the_web()


def answer_for_the_web() -> None:
    """Give Pyserini 2.4 the lists that it asks for when it is imported."""
    urllib.request.urlopen = _answer  # type: ignore[assignment]


def _answer(url: object, *_: object, **__: object) -> io.BytesIO:
    """No topics, and a nameless place for every pre-built index that Pyserini asks for by name."""
    if "prebuilt-indexes" not in str(url):
        return io.BytesIO(b"{}")
    folder = next(iter(importlib.util.find_spec("pyserini").submodule_search_locations))
    source = (Path(folder) / "prebuilt_index_info.py").read_text()
    blank = dict.fromkeys(["description", "filename", "urls", "md5", "size"], "")
    names = sorted(set(re.findall(r"\[\s*['\"]([^'\"]+)['\"]\s*\]", source)))
    return io.BytesIO(json.dumps([{"name": name, **blank} for name in names]).encode())


def use_our_jdk() -> None:
    """Pyserini takes the JVM that JAVA_HOME names and the `java` on the PATH: often too old."""
    from hypserini.jvm import find_jdk

    home = str(find_jdk())
    os.environ["JAVA_HOME"] = home
    os.environ["PATH"] = os.pathsep.join([os.path.join(home, "bin"), os.environ.get("PATH", "")])


if __name__ == "__main__":
    offline()
    use_our_jdk()
    module = sys.argv[1]
    sys.argv = sys.argv[1:]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
