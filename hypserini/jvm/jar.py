"""Our Java classes: finds the jar that fits Pyserini's Lucene, or compiles it."""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import os
import shutil
import subprocess
import tempfile
import zipfile
from functools import cache
from pathlib import Path

from hypserini.defaults import cache_folder
from hypserini.errors import JavaError
from hypserini.jvm import jdk

logger = logging.getLogger(__name__)

PACKAGE = Path(__file__).resolve().parents[1]
JARS = PACKAGE / "jars"
AGENT_CLASS = "io.hypserini.Agent"
SIMD = "simd"
"""Folder of what needs `jdk.VECTOR_MODULE`; without it, plainer classes take over."""

# A class that Lucene has since version 10; it tells the two lines apart.
_SINCE_LUCENE_10 = "org/apache/lucene/index/KnnVectorValues.class"


def anserini_jar() -> Path:
    """Return the fat jar that Pyserini would load: ANSERINI_CLASSPATH, else its own.

    Raises:
        JavaError: Pyserini is not installed, or the folder holds no such jar.
    """
    if "ANSERINI_CLASSPATH" in os.environ:
        folder = Path(os.environ["ANSERINI_CLASSPATH"])
        origin = f"ANSERINI_CLASSPATH ({folder})"
    else:
        spec = importlib.util.find_spec("pyserini")
        if spec is None or not spec.submodule_search_locations:
            raise JavaError("Pyserini is not installed: run `pip install pyserini`.")
        folder = Path(next(iter(spec.submodule_search_locations))) / "resources" / "jars"
        origin = f"Pyserini's folder {folder}"
    jars = list(folder.glob("anserini-*-fatjar.jar"))
    if not jars:
        raise JavaError(
            f"{origin} holds no anserini-*-fatjar.jar: reinstall Pyserini, or point"
            " ANSERINI_CLASSPATH to the folder of such a jar."
        )
    return max(jars, key=os.path.getctime)


@cache
def lucene_line(anserini: Path) -> int:
    """Return the Lucene line inside a fat jar: 9 or 10.

    It is looked up once a process: the list of a fat jar's files takes a fifth of a second to read.
    """
    try:
        with zipfile.ZipFile(anserini) as archive:
            return 10 if _SINCE_LUCENE_10 in archive.NameToInfo else 9
    except (OSError, zipfile.BadZipFile) as error:
        raise JavaError(f"{anserini} cannot be read ({error}): reinstall Pyserini.") from error


def sources(line: int) -> list[Path]:
    """Return the Java files for a Lucene line: the common ones, the line's adapter, and SIMD's."""
    for root in (PACKAGE / "java", PACKAGE.parent / "java"):
        folders = [root / kind / "io" / "hypserini" for kind in (".", f"lucene{line}", SIMD)]
        if all(folder.is_dir() for folder in folders):
            return sorted(file for folder in folders for file in folder.glob("*.java"))
    raise JavaError(f"hypserini's Java sources are missing beside {PACKAGE}: reinstall hypserini.")


def jar_name(line: int) -> str:
    """Return the file name of the jar; it changes with the sources, so no stale jar is loaded."""
    digest = hashlib.sha256()
    for file in sources(line):
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return f"hypserini-lucene{line}-{digest.hexdigest()[:12]}.jar"


def fitting_jar(anserini: Path) -> Path:
    """Return our jar for this fat jar, compiling it into the cache if it was not built before."""
    name = jar_name(lucene_line(anserini))
    for folder in (JARS, cache_folder()):
        if (folder / name).is_file():
            return folder / name
    logger.info("Compiling hypserini's Java classes (once).")
    return build(anserini, cache_folder())


def build(anserini: Path, folder: Path) -> Path:
    """Compile the jar for `anserini` into `folder` and return its path.

    The jar appears whole or not at all, so processes that build it together do not harm each other.

    Raises:
        JavaError: no compiler, a folder that cannot be written, or sources that do not compile.
    """
    line = lucene_line(anserini)
    target = folder / jar_name(line)
    kit = jdk.find(compiler=True)
    javac = kit.tool("javac")
    files = sources(line)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        workplace = Path(tempfile.mkdtemp(prefix=".build-", dir=folder))
    except OSError as error:
        raise JavaError(
            f"cannot compile hypserini's Java classes into {folder} ({error.strerror}): set"
            " HYPSERINI_CACHE to a folder that can be written."
        ) from error
    try:
        classes = workplace / "classes"
        options = ["-nowarn", "--release", str(jdk.MINIMUM), "-encoding", "UTF-8"]
        if kit.has_module(jdk.VECTOR_MODULE):
            options += ["--add-modules", jdk.VECTOR_MODULE]
        else:
            files = [file for file in files if file.parents[2].name != SIMD]
        paths = ["-cp", str(anserini), "-d", str(classes), *map(str, files)]
        done = subprocess.run(
            [str(javac), *options, *paths],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode != 0:
            raise JavaError(
                f"{javac} could not compile hypserini's classes against {anserini}:\n{done.stderr}"
            )
        _archive(classes, workplace / target.name)
        os.replace(workplace / target.name, target)
    except OSError as error:
        if not target.is_file():  # another process was faster and has it open (Windows)
            raise JavaError(f"cannot write {target} ({error.strerror}).") from error
    finally:
        shutil.rmtree(workplace, ignore_errors=True)
    return target


def _archive(classes: Path, jar: Path) -> None:
    manifest = f"Manifest-Version: 1.0\r\nAgent-Class: {AGENT_CLASS}\r\n\r\n"
    with zipfile.ZipFile(jar, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("META-INF/MANIFEST.MF"), manifest)
        for file in sorted(classes.rglob("*.class")):
            # A ZipInfo of its own carries no file time: the same sources give the same bytes.
            entry = zipfile.ZipInfo(file.relative_to(classes).as_posix())
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, file.read_bytes())
