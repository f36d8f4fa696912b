"""What the commands share: how they report errors, log, and read a device or a number."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading
from collections.abc import Callable, Sequence

from hypserini.errors import HypseriniError
from hypserini.settings import EncodingSettings

EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143


def positive_int(text: str) -> int:
    """Parse a whole number of at least 1, for argparse's `type`."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number of at least 1")
    return value


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags that every command takes."""
    group = parser.add_argument_group("common")
    group.add_argument("--quiet", action="store_true", help="no progress bar, warnings only")
    group.add_argument("--debug", action="store_true", help="on an error, show the traceback")


def add_device_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags that say where and in which number format the model runs."""
    group = parser.add_argument_group("device")
    group.add_argument(
        "--device", default="auto", help="auto, cpu, cuda, cuda:N or mps (default: auto)"
    )
    group.add_argument(
        "--dtype",
        default="float32",
        choices=["float32", "bfloat16", "float16"],
        help="number format of the model's arithmetic (default: float32)",
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


def encoding_settings(args: argparse.Namespace) -> EncodingSettings:
    """What the flags of `add_encoding_arguments` say."""
    document_prefix = getattr(args, "doc_prefix", None)
    return EncodingSettings.from_flags(
        args.pooling, args.l2_norm, args.query_prefix, document_prefix
    )


def main(
    parser: argparse.ArgumentParser,
    command: Callable[[argparse.Namespace], None],
    argv: Sequence[str] | None = None,
) -> int:
    """Parse, run `command`, and turn what it raises into an exit status.

    Returns:
        0, or 2 when the user can mend it (one line on stderr), or 130 when interrupted.
    """
    add_common_arguments(parser)
    args = parser.parse_args(argv)
    logging.basicConfig(
        level=logging.WARNING if args.quiet else logging.INFO,
        format="%(message)s",
        stream=sys.stderr,
    )
    for noisy in ("transformers", "urllib3", "httpx", "filelock", "huggingface_hub"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    _let_terminate_clean_up()
    try:
        command(args)
    except HypseriniError as error:
        if args.debug:
            raise
        print(f"{parser.prog}: error: {error}", file=sys.stderr)
        return EXIT_USER_ERROR
    except KeyboardInterrupt:
        if args.debug:
            raise
        print(f"{parser.prog}: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    return 0


def _let_terminate_clean_up() -> None:
    """Let SIGTERM unwind the stack, so that no half-written file stays behind."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(EXIT_TERMINATED))
