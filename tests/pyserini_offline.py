"""Runs a Pyserini module without the web: `python pyserini_offline.py MODULE ARGUMENTS...`.

Pyserini 2.4 reads JSON lists of its pre-built indexes and topics from the web at import; here they
are empty. Pyserini 1.6 with a current openai asks for a key at import; any will do.
"""

from __future__ import annotations

import io
import os
import runpy
import sys
import urllib.request


def offline() -> None:
    """Let Pyserini be imported without the web."""
    os.environ.setdefault("OPENAI_API_KEY", "unused")
    urllib.request.urlopen = lambda *_, **__: io.BytesIO(b"{}")  # type: ignore[assignment]


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
