"""The frame of the commands: flags, numbers, exit statuses, and what cannot be printed."""

from __future__ import annotations

import argparse
import importlib
import os
import subprocess
import sys

import pytest
from processes import run

from hypserini import cli
from hypserini.errors import HypseriniError

TEXTS = ("9" * 5000, "", "x", "nan", "inf", "-inf", "1e3", "0x10", "१२x", "--")


@pytest.mark.parametrize(
    ("parse", "good", "bad"),
    [
        (
            cli.positive_int,
            {"1": 1, "3000000000": cli.MOST, "9" * 40: cli.MOST},
            ("0", "-1", "1.5"),
        ),
        (cli.whole(1, 512), {"1": 1, "512": 512}, ("0", "513", "9" * 40)),
        (cli.seed, {"0": 0, "4294967295": 2**32 - 1}, ("-1", "4294967296")),
        (cli.threads, {"1": 1}, ("0", "1000000")),
    ],
)
def test_whole_numbers(parse, good, bad) -> None:
    assert {text: parse(text) for text in good} == good
    for text in (*bad, *TEXTS):
        with pytest.raises(argparse.ArgumentTypeError, match="is not a whole number"):
            parse(text)


@pytest.mark.parametrize(
    ("parse", "good", "bad"),
    [
        (cli.number(0, 1), {"0": 0.0, "1": 1.0, "0.5": 0.5, "1e-3": 0.001}, ("-0.1", "1.7", "1e3")),
        (cli.number(0), {"60": 60.0, "1e3": 1000.0}, ("-1", "1e999", "-1e999")),
    ],
)
def test_numbers(parse, good, bad) -> None:
    assert {text: parse(text) for text in good} == good
    for text in (*bad, "", "x", "nan", "inf", "9" * 5000):
        with pytest.raises(argparse.ArgumentTypeError, match="is not a number"):
            parse(text)


def test_a_text_of_other_bytes_can_be_searched_for() -> None:
    assert cli.text("caf\u00e9") == "caf\u00e9"
    assert cli.text("caf\udce9") == "caf\ufffd"
    assert cli.text("caf\udcc3\udca9") == "caf\u00e9"  # UTF-8 that the locale did not let through


@pytest.mark.parametrize(
    ("command", "flags", "said"),
    [
        ("search", "--index ix --topics {file} --output {file}", "--topics"),
        ("search", "--index ix --topics t --rerank-run {file} --output {link}", "--rerank-run"),
        ("evaluate", "--qrels q --run a {file} --per-query {file}", "--run"),
        ("compare", "--runs a {file} --qrels q --output {link}", "--runs"),
        ("compare", "--runs a b --qrels q --output o --picture {file} --topics {file}", "--topics"),
        ("train.mine", "--index ix --input {file} --output {file}", "--input"),
        ("train.teach", "--input {file} --output {link} --model m", "--input"),
    ],
)
def test_no_file_is_read_and_written(tmp_path, command: str, flags: str, said: str, capsys) -> None:
    file, link = tmp_path / "mine.txt", tmp_path / "link"
    file.write_text("1 mine\n")
    link.symlink_to(file)
    main = importlib.import_module(f"hypserini.{command}.__main__").main
    assert main(flags.format(file=file, link=link).split()) == 2
    message = capsys.readouterr().err
    assert f"is the file that {said} names" in message
    assert file.read_text() == "1 mine\n"


def make_parser() -> cli.Parser:
    parser = cli.Parser(prog="it")
    parser.add_argument("--depth", "-d", type=cli.positive_int, default=7)
    parser.add_argument("--name", "--called", default="x")
    parser.add_argument("--flag", action="store_true")
    parser.add_argument("--set", action="append", default=[])
    return parser


def test_a_flag_that_says_the_default_was_given_all_the_same() -> None:
    assert make_parser().parse_args([]).given == {}
    args = make_parser().parse_args(["-d", "7", "--called", "x", "--flag", "--set", "a"])
    assert args.given == {"depth": "--depth", "name": "--name", "flag": "--flag", "set": "--set"}
    assert (args.depth, args.name, args.flag, args.set) == (7, "x", True, ["a"])


def test_flags_that_would_be_ignored_are_refused() -> None:
    args = make_parser().parse_args(["-d", "7"])
    cli.refuse_ignored(args, [(True, "it", "depth"), (False, "it", "name flag")])
    with pytest.raises(HypseriniError, match="--depth belongs to that: leave it out"):
        cli.refuse_ignored(args, [(True, "this", "depth"), (False, "that", "name depth")])


def outcome(cause, *flags: str) -> int:
    return cli.main(make_parser(), cause, list(flags))


def test_what_a_user_can_mend_is_one_line_and_status_2(capsys) -> None:
    def fail(args: argparse.Namespace) -> None:
        raise MemoryError

    assert outcome(fail) == cli.EXIT_USER_ERROR
    assert capsys.readouterr().err.startswith("it: error: out of memory (MemoryError): take less")
    with pytest.raises(MemoryError):
        outcome(fail, "--debug")


def test_a_fault_of_the_program_is_a_traceback() -> None:
    def fail(args: argparse.Namespace) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        outcome(fail)


def test_interruption(capsys) -> None:
    def interrupt(args: argparse.Namespace) -> None:
        raise KeyboardInterrupt

    assert outcome(interrupt) == cli.EXIT_INTERRUPTED
    assert capsys.readouterr().err == "it: interrupted\n"


COMMAND = r"""
import sys
from hypserini import cli
def command(args):
    for number in range(int(args.lines)):
        print("caf\u00e9 \u2192 \U0001f600 \udce9", number)
    import logging
    logging.getLogger("hypserini").warning("logged \u2192")
parser = cli.Parser(prog="it")
parser.add_argument("lines")
sys.exit(cli.main(parser, command))
"""


def test_a_terminal_that_cannot_show_a_character_is_shown_another() -> None:
    for environment in (
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ):
        done = run(COMMAND, 1, **environment)
        assert (done.returncode, done.stdout) == (0, "caf? ? ? ? 0\n"), done.stderr
        assert done.stderr == "logged \\u2192\n"
    assert run(COMMAND, 1, PYTHONIOENCODING="utf-8").stdout == "café \u2192 \U0001f600 ? 0\n"


def shell(command: str, lines: int) -> subprocess.CompletedProcess[str]:
    code = {"PYTHON": sys.executable, "CODE": COMMAND, "LINES_": str(lines)}
    return subprocess.run(
        ["bash", "-c", command], env={**os.environ, **code}, capture_output=True, text=True
    )


@pytest.mark.skipif(sys.platform == "win32", reason="shells differ")
def test_a_reader_that_has_had_enough_ends_the_command_quietly() -> None:
    for lines in (2, 100_000):
        done = shell('"$PYTHON" -c "$CODE" $LINES_ | true; echo ${PIPESTATUS[0]}', lines)
        assert done.stdout.split() == ["141"]
        assert "Error" not in done.stderr
        assert "Exception" not in done.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is full")
def test_a_full_disk_is_told_of() -> None:
    done = shell('"$PYTHON" -c "$CODE" $LINES_ > /dev/full', 2)
    assert done.returncode == cli.EXIT_USER_ERROR
    assert done.stderr.splitlines()[-1].startswith("it: error: No space left on device: free some")


@pytest.mark.skipif(sys.platform == "win32", reason="shells differ")
def test_a_program_that_has_read_its_input_can_call_a_command() -> None:
    program = (
        "import sys; sys.stdin.readline()\n"
        "from hypserini.evaluate.__main__ import main\n"
        "sys.exit(main(['--qrels', 'none.txt', '--run', 'none.txt']))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], input="a line\n", capture_output=True, text=True
    )
    assert ended.returncode == 2, ended.stderr
    assert "Traceback" not in ended.stderr


def test_closed_streams_are_no_reason_to_fail() -> None:
    assert shell('"$PYTHON" -c "$CODE" $LINES_ 2>&-', 1).returncode == 0
    assert shell('"$PYTHON" -c "$CODE" $LINES_ >&-', 1).returncode == 0


BARS = """
import sys
from hypserini import cli
def command(args):
    import tqdm, tqdm.auto
    from huggingface_hub.utils import tqdm as hub_bar
    from transformers.utils import logging
    for bar in (tqdm.tqdm, tqdm.auto.tqdm, hub_bar, logging.tqdm):
        list(bar([1, 2, 3], desc="of another library"))
    logging.get_logger("transformers").warning("of another library")
sys.exit(cli.main(cli.Parser(prog="it"), command))
"""


def test_quiet_keeps_the_bars_of_all_libraries_away() -> None:
    nothing_set = dict.fromkeys(cli.BARS_OFF)
    assert run(BARS, **nothing_set).stderr.count("of another library") >= 4
    quiet = run(BARS.replace("command))", 'command, ["--quiet"]))'), **nothing_set)
    assert (quiet.returncode, quiet.stderr) == (0, "")
