"""Commands as a user can copy them, and what they say when they fail."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys

import pytest

from hypserini.reproduce import commands
from hypserini.reproduce.commands import CommandFailed


def test_what_is_printed_is_what_is_run(tmp_path):
    command = ["hypserini.reproduce", "--write", str(tmp_path / "a folder")]
    words = shlex.split(commands.written(command))
    assert words[:3] == ["python", "-m", "hypserini.reproduce"]
    subprocess.run([sys.executable, *words[1:]], check=True)
    assert (tmp_path / "a folder" / "qrels" / "test.tsv").exists()
    assert commands.written(["hf", "download", "a/b"]) == "hf download a/b"


def test_a_fault_is_the_commands_own_sentence(tmp_path, capfd):
    (tmp_path / "file").write_text("")
    with pytest.raises(CommandFailed, match=r"^cannot (write|make) .*file.*") as caught:
        commands.run(["hypserini.reproduce", "--write", str(tmp_path / "file" / "folder")])
    assert str(caught.value) in capfd.readouterr().err  # it was shown as it came


@pytest.mark.parametrize(
    ("said", "command", "status", "sentence"),
    [
        ("bar 10%\rpython -m x: error: mend it.\n", ["x"], 2, "mend it."),
        ("Traceback\nKeyError: 'a'\n", ["x"], 1, "x ended with status 1: KeyError: 'a'"),
        ("Traceback\nOSError: error: b\n", ["x"], -9, "x was ended by signal 9: b"),
        ("", ["x"], 3, "x ended with status 3: it said nothing"),
        (
            "\x1b[31mError: Name unknown\x1b[0m\n\x1b[90mHint: more\x1b[0m\n",
            ["hf", "download", "a/b"],
            1,
            "a/b cannot be had from the hub (Name unknown): try again with a connection to the "
            "web, or give a folder of yours.",
        ),
    ],
)
def test_sentences(said, command, status, sentence):
    assert commands._sentence(said, command, status) == sentence


def test_notes(tmp_path):
    product = tmp_path / "run.txt"
    assert commands.was_made_by(product, ["a"]) is None
    commands.note(product, ["a", "b c"])
    assert commands.was_made_by(product, ["a", "b c"])
    assert commands.was_made_by(product, ["a", "b", "c"]) is False
    strange = ["a", "--index", os.fsdecode(b"\xe9")]
    commands.note(product, [*strange, "--device=cuda", "--batch-size", "3"])
    assert commands.was_made_by(product, [*strange, "--quiet"])  # made otherwise, and the same
    assert not commands.was_made_by(product, [*strange, "--hits", "9"])
    commands.forget(product)
    assert commands.was_made_by(product, ["a", "b c"]) is None
