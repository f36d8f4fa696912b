"""Compiling our Java classes: whole or not at all, also when two processes do it at once."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from hypserini.errors import JavaError
from hypserini.jvm import jar, jdk
from hypserini.jvm.__main__ import main


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A jar compiled for the installed Pyserini, alone in its folder."""
    return jar.build(jar.anserini_jar(), tmp_path_factory.mktemp("jars"))


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package with one class of each kind, so that to compile it takes little."""
    package = tmp_path / "package"
    line = jar.lucene_line(jar.anserini_jar())
    for kind, name in ((".", "Agent"), (f"lucene{line}", "LuceneLine"), (jar.SIMD, "Simd")):
        file = package / "java" / kind / "io" / "hypserini" / f"{name}.java"
        file.parent.mkdir(parents=True)
        file.write_text(f"package io.hypserini;\n\nfinal class {name} {{}}\n")
    monkeypatch.setattr(jar, "PACKAGE", package)
    return package


def test_the_jar_can_join_a_running_jvm_and_holds_one_lucene_line(built: Path) -> None:
    assert built.name == jar.jar_name(jar.lucene_line(jar.anserini_jar()))
    with zipfile.ZipFile(built) as archive:
        names = archive.namelist()
        manifest = archive.read("META-INF/MANIFEST.MF").decode()
    assert names.count("io/hypserini/LuceneLine.class") == 1
    assert f"Agent-Class: {jar.AGENT_CLASS}\r\n" in manifest
    assert jar.AGENT_CLASS.replace(".", "/") + ".class" in names
    assert [file.name for file in built.parent.iterdir()] == [built.name]


def test_the_two_lines_have_different_names() -> None:
    assert jar.jar_name(9).startswith("hypserini-lucene9-")
    assert jar.jar_name(10).startswith("hypserini-lucene10-")
    assert jar.jar_name(9)[-16:] != jar.jar_name(10)[-16:]


def test_two_processes_compile_into_one_cache_at_once(
    tmp_path: Path, monkeypatch, small: Path
) -> None:
    monkeypatch.setenv("HYPSERINI_CACHE", str(tmp_path / "cache"))
    code = (
        "import sys; from hypserini.jvm import jar; from pathlib import Path\n"
        "jar.JARS, jar.PACKAGE = Path('nowhere'), Path(sys.argv[1])\n"
        "print(jar.fitting_jar(jar.anserini_jar()))"
    )
    command = [sys.executable, "-c", code, small]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    paths = [process.communicate()[0].strip() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    files = list((tmp_path / "cache").iterdir())
    assert paths == [str(files[0])] * 2
    assert len(files) == 1
    again = jar.build(jar.anserini_jar(), tmp_path / "again")
    assert files[0].read_bytes() == again.read_bytes()  # the same sources, the same bytes


def test_a_built_jar_is_used_and_a_stale_one_is_not(
    tmp_path: Path, monkeypatch, small: Path
) -> None:
    monkeypatch.setattr(jar, "JARS", tmp_path / "jars")
    monkeypatch.setenv("HYPSERINI_CACHE", str(tmp_path / "cache"))
    anserini = jar.anserini_jar()
    line = jar.lucene_line(anserini)
    stale = tmp_path / "jars" / f"hypserini-lucene{line}-000000000000.jar"
    of_another_line = tmp_path / "jars" / "hypserini-lucene8-000000000000.jar"
    cached = tmp_path / "cache" / jar.jar_name(line)
    for file in (stale, of_another_line, cached):
        file.parent.mkdir(exist_ok=True)
        file.touch()
    assert jar.fitting_jar(anserini) == cached
    assert main(["--output", str(jar.JARS), "--quiet"]) == 0
    assert jar.fitting_jar(anserini) == jar.JARS / cached.name
    assert sorted(jar.JARS.iterdir()) == sorted([of_another_line, jar.JARS / cached.name])


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(JavaError, match=r"file.*HYPSERINI_CACHE"):
        jar.build(jar.anserini_jar(), tmp_path / "file" / "cache")


def test_without_a_compiler_the_error_asks_for_one(tmp_path: Path, monkeypatch) -> None:
    for name in ("JAVA_HOME", "JDK_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(jdk, "USUAL_FOLDERS", ())
    with pytest.raises(JavaError, match="javac"):
        jar.build(jar.anserini_jar(), tmp_path)


def test_anserini_classpath_is_followed_as_pyserini_does(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("ANSERINI_CLASSPATH", str(tmp_path))
    with pytest.raises(JavaError, match="ANSERINI_CLASSPATH"):
        jar.anserini_jar()
    broken = tmp_path / "anserini-9.9.9-fatjar.jar"
    broken.write_bytes(b"not a jar")
    assert jar.anserini_jar() == broken
    with pytest.raises(JavaError, match="cannot be read"):
        jar.lucene_line(broken)
