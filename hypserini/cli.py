"""What the commands share: how they report errors, log, and read a device, a number or a text."""

from __future__ import annotations

import argparse
import contextlib
import logging
import math
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Sequence

from hypserini import faults
from hypserini.cluster.connection import ClusterOptions
from hypserini.errors import HypseriniError
from hypserini.settings import EncodingSettings

EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130
EXIT_PIPE_CLOSED = 141
EXIT_TERMINATED = 143

MOST = 2**31 - 1
"""Lucene numbers documents with 32 bits: as much as this is all that there are."""

NOISY = ("transformers", "urllib3", "httpx", "filelock", "huggingface_hub", "datasets")
BARS_OFF = ("TQDM_DISABLE", "HF_HUB_DISABLE_PROGRESS_BARS", "HF_DATASETS_DISABLE_PROGRESS_BARS")
"""Read when tqdm and the hub's libraries are imported, which no command does before it parses."""

# --- flags ----------------------------------------------------------------------------------------


class Parser(argparse.ArgumentParser):
    """A parser whose result tells which flags stood on the command line.

    That is `given`, the flags by their names in the result. A flag that was given its default value
    can thus be told from one that was left out.
    """

    def parse_known_args(self, args=None, namespace=None):  # type: ignore
        """As argparse does, and note what was given."""
        parsed, rest = super().parse_known_args(args, namespace)
        # Again, with nothing to tell defaults by: what has a value then, was given.
        blank = argparse.Namespace(**{action.dest: None for action in self._actions})
        again, _ = super().parse_known_args(args, blank)
        parsed.given = {
            action.dest: next(name for name in action.option_strings if name.startswith("--"))
            for action in self._actions
            if action.option_strings and getattr(again, action.dest, None) is not None
        }
        return parsed, rest


Row = tuple[bool, str, str]
"""Whether something holds, the words for it, and the flags that do nothing unless it holds."""


def refuse_ignored(args: argparse.Namespace, rows: Iterable[Row]) -> None:
    """Refuse flags that were given and would be ignored.

    Those that say where things run, `--device` and its like, are for every command of a script, and
    stand in no row.

    Args:
        args: What `Parser` parsed.
        rows: The flags by their names in `args`, several with blanks between.

    Raises:
        HypseriniError: A flag was given without what it belongs to; names both.
    """
    for holds, owner, names in rows:
        for name in names.split():
            if not holds and name in args.given:
                raise HypseriniError(f"{args.given[name]} belongs to {owner}: leave it out.")


OUTPUTS = ("output", "per_query", "picture", "cost_picture")


def keep_inputs(args: argparse.Namespace) -> None:
    """Refuse an output that is a file which another flag names: it would be read and then lost.

    Raises:
        HypseriniError: Names both flags and the file.
    """
    files = [
        (name, str(one))
        for name, value in vars(args).items()
        for one in (value if isinstance(value, list | tuple) else [value])
        if isinstance(one, str | os.PathLike) and os.path.isfile(one)
    ]
    for output, path in files:
        for name, other in files:
            if output in OUTPUTS and name != output and os.path.samefile(path, other):
                flag, its = (args.given.get(one, one) for one in (output, name))
                raise HypseriniError(
                    f"{flag} {path} is the file that {its} names: choose another one."
                )


def whole(least: int, most: int | None = None) -> Callable[[str], int]:
    """The argparse type of whole numbers from `least` to `most`.

    Without `most`, any number above `MOST` is as good as that: more than there can be.
    """
    wanted = f"a whole number of at least {least}"
    if most is not None:
        wanted = f"a whole number from {least:,} to {most:,}"

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:  # of thousands of digits, too
            raise argparse.ArgumentTypeError(f"{text[:40]} is not {wanted}") from None
        if value < least or (most is not None and value > most):
            raise argparse.ArgumentTypeError(f"{text[:40]} is not {wanted}")
        return min(value, MOST) if most is None else value

    return parse


positive_int = whole(1)
"""A whole number of at least 1, for argparse's `type`."""

threads = whole(1, 1024)

seed = whole(0, 2**32 - 1)
"""What numpy and torch both take."""


def number(least: float, most: float | None = None) -> Callable[[str], float]:
    """The argparse type of finite numbers from `least` to `most`."""
    wanted = f"a number of at least {least:g}"
    if most is not None:
        wanted = f"a number from {least:g} to {most:g}"

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and value >= least and (most is None or value <= most)):
            raise argparse.ArgumentTypeError(f"{text[:40]} is not {wanted}")
        return value

    return parse


def size(text: str) -> int:
    """The argparse type of amounts of memory: `512m`, `1.5g` or bytes, in powers of 1024."""
    match = re.fullmatch(r"(\d{1,15}(?:\.\d{1,9})?)([kmgt]?)(?:i?b)?", text.strip().lower())
    if not match or float(match[1]) == 0:
        raise argparse.ArgumentTypeError(f"{text[:40]} is not an amount of memory, such as 4g")
    return int(float(match[1]) * 1024 ** " kmgt".index(match[2] or " "))


def text(given: str) -> str:
    """The argparse type of a text to search with: bytes that are no UTF-8 are replaced."""
    return os.fsencode(given).decode("utf-8", errors="replace")


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags that every command takes."""
    group = parser.add_argument_group("common")
    group.add_argument("--quiet", action="store_true", help="no progress bar, warnings only")
    group.add_argument("--debug", action="store_true", help="on an error, show the traceback")


def add_device_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags that say where and in which number format the model runs."""
    group = parser.add_argument_group("device")
    group.add_argument(
        "--device",
        default="auto",
        help="auto, cpu, cuda, cuda:N or mps (default: auto); several with commas between them"
        " share the encoding of documents",
    )
    group.add_argument(
        "--dtype",
        default="auto",
        choices=["auto", "float32", "bfloat16", "float16"],
        help="number format of the model's arithmetic (default: bfloat16 on a GPU that has it,"
        " else float32)",
    )


def add_encoding_arguments(parser: argparse.ArgumentParser, *, documents: bool = True) -> None:
    """Add the flags that go before what a model's folder says, named as in `pyserini.encode`."""
    group = parser.add_argument_group("how the model encodes (default: as its folder says)")
    group.add_argument(
        "--pooling",
        help="cls, mean, max, mean_sqrt_len, weightedmean or lasttoken, or several joined by +",
    )
    group.add_argument(
        "--l2-norm",
        action=argparse.BooleanOptionalAction,
        help="give vectors the length 1, or leave them as they are",
    )
    group.add_argument(
        "--query-prefix",
        metavar="TEXT",
        help='put before every query, with a space between, such as "query:"; "" for nothing',
    )
    if documents:
        group.add_argument(
            "--doc-prefix", "--prefix", metavar="TEXT", help="the same before every document"
        )


def add_cluster_arguments(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Add the flags that say on which Ray cluster, and what each shard gets of it."""
    group = parser.add_argument_group("on a Ray cluster (pip install 'hypserini[cluster]')")
    group.add_argument(
        "--cluster",
        metavar="auto|ADDRESS",
        help="a process for each shard on this cluster; auto: the one that this machine is a node"
        " of, or one of this machine alone. All nodes must see the files by the same paths",
    )
    group.add_argument(
        "--cluster-cpus",
        type=number(0),
        metavar="N",
        help="processors for each shard (default: an equal share that leaves room for all)",
    )
    group.add_argument(
        "--cluster-gpus",
        type=number(0),
        metavar="N",
        help="GPUs for each shard, such as 0.5 (default: an equal share, at most one)",
    )
    return group


def cluster_options(args: argparse.Namespace) -> ClusterOptions | None:
    """The cluster that the flags ask for; None: none."""
    if args.cluster is None:
        return None
    return ClusterOptions(args.cluster, args.cluster_cpus, args.cluster_gpus)


def encoding_settings(args: argparse.Namespace) -> EncodingSettings:
    """What the flags of `add_encoding_arguments` say."""
    document_prefix = getattr(args, "doc_prefix", None)
    return EncodingSettings.from_flags(
        args.pooling, args.l2_norm, args.query_prefix, document_prefix
    )


# --- running --------------------------------------------------------------------------------------


def main(
    parser: argparse.ArgumentParser,
    command: Callable[[argparse.Namespace], None],
    argv: Sequence[str] | None = None,
) -> int:
    """Parse, run `command`, and turn what it raises into an exit status.

    Returns:
        0, or 2 when the user can mend it (one line on stderr), or 130 when interrupted, or 141
        when nobody reads what is printed any more.
    """
    add_common_arguments(parser)
    _print_whatever_comes()
    args = parser.parse_args(argv)
    _set_up_logging(args.quiet)
    _let_terminate_clean_up()
    try:
        keep_inputs(args)
        command(args)
        sys.stdout.flush()
    except BrokenPipeError:
        _drop_what_is_unprinted()
        return EXIT_PIPE_CLOSED
    except KeyboardInterrupt:
        if args.debug:
            raise
        print(f"{parser.prog}: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except Exception as error:
        sentence = faults.sentence(error)
        if args.debug or sentence is None:
            raise
        print(f"{parser.prog}: error: {sentence}", file=sys.stderr)
        _drop_what_is_unprinted()
        return EXIT_USER_ERROR
    return 0


def _print_whatever_comes() -> None:
    """Let no text fail at the terminal's encoding, and no print where there is no terminal."""
    for name in ("stdin", "stdout"):
        stream = getattr(sys, name)
        if hasattr(stream, "reconfigure"):
            with contextlib.suppress(ValueError):  # closed, or read from by whoever calls us
                stream.reconfigure(errors="replace")  # stderr shows what it cannot encode as \x..
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by `2>&-`
            setattr(sys, name, open(os.devnull, "w", errors="replace"))  # noqa: SIM115


def _drop_what_is_unprinted() -> None:
    """Keep Python from printing at its end what could not be printed now."""
    try:
        sys.stdout.flush()
    except OSError:
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _set_up_logging(quiet: bool) -> None:
    """Log our own messages, and of other libraries' the errors; under --quiet, draw no bars."""
    logging.basicConfig(
        level=logging.WARNING if quiet else logging.INFO,
        format="%(message)s",
        stream=sys.stderr,
    )
    for noisy in NOISY:
        logging.getLogger(noisy).setLevel(logging.ERROR)
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    if quiet:
        os.environ.update(dict.fromkeys(BARS_OFF, "1"))


def _let_terminate_clean_up() -> None:
    """Let SIGTERM unwind the stack, so that no half-written file stays behind."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(EXIT_TERMINATED))
