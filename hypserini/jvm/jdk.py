"""Finds a Java Development Kit of version 21 or newer, wherever it commonly lies."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hypserini.errors import JavaError

MINIMUM = 21

VECTOR_MODULE = "jdk.incubator.vector"
"""Arithmetic by SIMD; not in every runtime, and only there if the JVM is started with it."""

HOW_TO_GET_ONE = (
    f"install a JDK {MINIMUM} or newer (for example from https://adoptium.net, `conda install -c"
    f" conda-forge openjdk={MINIMUM}` or `apt install openjdk-{MINIMUM}-jdk-headless`), or set"
    " JAVA_HOME to one"
)

# Searched when neither JAVA_HOME nor PATH leads to a JDK that is new enough; `~` and environment
# variables are expanded, and a pattern that matches nothing costs nothing.
USUAL_FOLDERS = (
    "$CONDA_PREFIX/lib/jvm",
    "$CONDA_PREFIX/Library",
    "$CONDA_PREFIX",
    "/usr/lib/jvm/*",
    "/usr/lib64/jvm/*",
    "/usr/java/*",
    "/usr/local/openjdk*",
    "/usr/local/java/*",
    "/opt/java/*",
    "/opt/*jdk*",
    "/opt/*/*jdk*",
    "/Library/Java/JavaVirtualMachines/*/Contents/Home",
    "~/Library/Java/JavaVirtualMachines/*/Contents/Home",
    "/opt/homebrew/opt/openjdk*/libexec/openjdk.jdk/Contents/Home",
    "/usr/local/opt/openjdk*/libexec/openjdk.jdk/Contents/Home",
    "/home/linuxbrew/.linuxbrew/opt/openjdk*/libexec",
    "~/.sdkman/candidates/java/*",
    "~/.asdf/installs/java/*",
    "~/.local/share/mise/installs/java/*",
    "~/.jdks/*",
    "~/.jdk/*",
    "~/.gradle/jdks/*",
    "$ProgramFiles/Java/*",
    "$ProgramFiles/Eclipse Adoptium/*",
    "$ProgramFiles/Microsoft/jdk*",
    "$ProgramFiles/Zulu/*",
    "$ProgramFiles/Amazon Corretto/*",
    "$ProgramFiles/BellSoft/*",
    "~/scoop/apps/*jdk*/current",
)


@dataclass(frozen=True, slots=True)
class Jdk:
    """A Java installation: its home folder, major version, and whether it can compile."""

    home: Path
    version: int
    compiles: bool

    def tool(self, name: str) -> Path:
        """Return the path of one of its programs, such as `javac`; it need not exist."""
        return self.home / "bin" / (name + (".exe" if sys.platform == "win32" else ""))

    def has_module(self, name: str) -> bool:
        """Whether it has a module; a runtime that was cut to size may lack some."""
        modules = re.search(r'^MODULES="([^"]+)"', _release(self.home), re.MULTILINE)
        return modules is None or name in modules[1].split()


def find(*, compiler: bool = False) -> Jdk:
    """Find a Java of version 21 or newer.

    JAVA_HOME is taken if it is new enough, else the Java on PATH, else the oldest that is new
    enough of those in the usual folders: Lucene 9 vectorizes its arithmetic on version 21 only.

    Args:
        compiler: it must have `javac`.

    Raises:
        JavaError: there is none; the message names what was found instead.
    """
    seen: list[Jdk] = []
    for group in (*_from_environment(), _from_path(), _from_usual_folders()):
        found = [jdk for jdk in map(inspect, group) if jdk is not None]
        fit = [jdk for jdk in found if jdk.version >= MINIMUM and (jdk.compiles or not compiler)]
        if fit:
            return min(fit, key=lambda jdk: (not jdk.compiles, jdk.version))
        seen += [jdk for jdk in found if jdk not in seen]
    raise JavaError(_nothing_fits(seen, compiler))


def inspect(home: Path) -> Jdk | None:
    """Return what Java lies in a folder, or None if none that could be loaded."""
    libraries = ("lib/server/libjvm.so", "lib/server/libjvm.dylib", "bin/server/jvm.dll")
    if not any((home / library).is_file() for library in libraries):
        return None
    unknown = Jdk(home, 0, False)
    version = _version_from_release(home) or _version_from_running(unknown.tool("java"))
    return (version and Jdk(home, version, unknown.tool("javac").is_file())) or None


def _nothing_fits(seen: list[Jdk], compiler: bool) -> str:
    wanted = f"Java {MINIMUM} or newer" + (" with a compiler (javac)" if compiler else "")
    if not seen:
        return f"no Java was found, and hypserini needs {wanted}: {HOW_TO_GET_ONE}."
    found = ", ".join(
        f"Java {jdk.version} at {jdk.home}" + ("" if jdk.compiles else " (no javac)")
        for jdk in seen
    )
    return f"hypserini needs {wanted}, but found only {found}: {HOW_TO_GET_ONE}."


def _from_environment() -> Iterator[list[Path]]:
    for variable in ("JAVA_HOME", "JDK_HOME"):
        if os.environ.get(variable):
            home = Path(os.environ[variable])
            yield [home.parent if home.name == "bin" else home]


def _from_path() -> Iterator[Path]:
    for program in ("javac", "java"):
        found = shutil.which(program)
        if found:
            yield Path(os.path.realpath(found)).parent.parent


def _from_usual_folders() -> Iterator[Path]:
    homes: dict[str, Path] = {}
    for pattern in USUAL_FOLDERS:
        expanded = os.path.expanduser(os.path.expandvars(pattern))
        if "$" in expanded or "~" in expanded[:1]:
            continue
        for home in _glob(expanded):
            homes.setdefault(os.path.realpath(home), home)
    yield from homes.values()


def _glob(pattern: str) -> list[Path]:
    path = Path(pattern)
    parts = path.relative_to(path.anchor).parts if path.anchor else path.parts
    try:
        return sorted(Path(path.anchor).glob("/".join(parts)))
    except OSError:
        return []  # a folder that must not be read holds no Java for us


def _release(home: Path) -> str:
    try:
        return (home / "release").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _version_from_release(home: Path) -> int | None:
    return _major(re.search(r'^JAVA_VERSION="([^"]+)"', _release(home), re.MULTILINE))


def _version_from_running(java: Path) -> int | None:
    try:
        done = subprocess.run(
            [java, "-version"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=30,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return _major(re.search(r'version "([^"]+)"', done.stderr + done.stdout))


def _major(match: re.Match[str] | None) -> int | None:
    """21.0.4 -> 21, and 1.8.0_392 -> 8."""
    numbers = re.findall(r"\d+", match[1]) if match else []
    if not numbers:
        return None
    return int(numbers[1] if numbers[0] == "1" and len(numbers) > 1 else numbers[0])
