"""Finding a JDK among what lies around, in made folder trees."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from hypserini.errors import JavaError
from hypserini.jvm import jdk


def make_java(home: Path, version: str | None, *, compiles: bool = True) -> Path:
    """A folder that looks like a Java installation; without `version`, only running it tells."""
    for name in ("lib/server/libjvm.so", *(["bin/javac", "bin/javac.exe"] if compiles else [])):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).touch()
    if version is not None:
        (home / "release").write_text(f'IMPLEMENTOR="X"\nJAVA_VERSION="{version}"\n')
    return home


@pytest.fixture(autouse=True)
def bare_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No JAVA_HOME, nothing on PATH, and only `tmp_path/usual` to look through."""
    for name in ("JAVA_HOME", "JDK_HOME", "CONDA_PREFIX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    monkeypatch.setenv("USUAL", str(tmp_path / "usual"))
    monkeypatch.setattr(jdk, "USUAL_FOLDERS", ("$USUAL/*", "$NOT_SET/*"))


def test_java_home_is_taken_when_it_is_new_enough(tmp_path, monkeypatch) -> None:
    make_java(tmp_path / "usual" / "a", "21.0.4")
    home = make_java(tmp_path / "mine", "25.0.3")
    monkeypatch.setenv("JAVA_HOME", str(home))
    assert jdk.find() == jdk.Jdk(home, 25, True)
    monkeypatch.setenv("JAVA_HOME", str(home / "bin"))
    assert jdk.find().home == home


def test_an_old_java_home_gives_way_to_the_path_and_that_to_the_usual_folders(
    tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(make_java(tmp_path / "old", "17.0.9")))
    newest = make_java(tmp_path / "usual" / "a", "25")
    oldest_that_fits = make_java(tmp_path / "usual" / "b", "21.0.4")
    make_java(tmp_path / "usual" / "c", "1.8.0_392")
    assert jdk.find().home == oldest_that_fits
    (newest / "bin" / "javac").chmod(0o755)
    on_path = tmp_path / "links"
    on_path.mkdir()
    name = "javac.exe" if sys.platform == "win32" else "javac"
    (newest / "bin" / name).chmod(0o755)
    (on_path / name).symlink_to(newest / "bin" / name)
    monkeypatch.setenv("PATH", str(on_path))
    assert jdk.find().home == newest


def test_one_that_compiles_is_preferred_and_can_be_demanded(tmp_path) -> None:
    runs_only = make_java(tmp_path / "usual" / "a", "21", compiles=False)
    assert jdk.find() == jdk.Jdk(runs_only, 21, False)
    with pytest.raises(JavaError, match=r"javac.*found only Java 21 at .*usual.a \(no javac\)"):
        jdk.find(compiler=True)
    both = make_java(tmp_path / "usual" / "b", "25")
    assert jdk.find().home == both
    assert jdk.find(compiler=True).home == both


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in for java is a shell script")
def test_the_version_is_asked_of_java_where_no_file_tells_it(tmp_path) -> None:
    home = make_java(tmp_path / "usual" / "a", None)
    java = home / "bin" / "java"
    java.write_text("#!/bin/sh\necho 'openjdk version \"22.0.1\" 2024-04-16' >&2\n")
    java.chmod(0o755)
    assert jdk.find() == jdk.Jdk(home, 22, True)


def test_a_runtime_that_was_cut_to_size_tells_its_modules(tmp_path) -> None:
    home = make_java(tmp_path / "usual" / "a", "21")
    assert jdk.find().has_module("jdk.incubator.vector")  # nothing is known to be missing
    with (home / "release").open("a") as file:
        file.write('MODULES="java.base java.logging"\n')
    assert jdk.find().has_module("java.logging")
    assert not jdk.find().has_module("jdk.incubator.vector")


def test_without_any_java_the_error_says_how_to_get_one(tmp_path) -> None:
    (tmp_path / "usual" / "not-java").mkdir(parents=True)
    with pytest.raises(JavaError, match=r"no Java was found.*21.*adoptium\.net.*JAVA_HOME"):
        jdk.find()


def test_with_only_an_old_java_the_error_names_it(tmp_path, monkeypatch) -> None:
    old = make_java(tmp_path / "old", "17.0.9")
    older = make_java(tmp_path / "usual" / "a", "1.8.0_392")
    monkeypatch.setenv("JAVA_HOME", str(old))
    with pytest.raises(JavaError) as error:
        jdk.find()
    message = str(error.value)
    assert f"found only Java 17 at {old}, Java 8 at {older}" in message
    assert "\n" not in message
    assert os.environ["JAVA_HOME"] == str(old)
