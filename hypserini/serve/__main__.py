"""`python -m hypserini.serve`: indexes behind HTTP (REST, a page) and MCP."""

from __future__ import annotations

import argparse
import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

from hypserini import cli
from hypserini.errors import HypseriniError

logger = logging.getLogger(__name__)


def make_parser() -> argparse.ArgumentParser:
    """Make the command's parser."""
    parser = cli.Parser(
        prog="python -m hypserini.serve",
        description="Serve indexes by REST, with Pyserini's endpoints, by MCP, and with a page.",
    )
    parser.add_argument(
        "--index", dest="indexes", action="append", required=True, help="an index; may be repeated"
    )
    parser.add_argument("--model", help="default: the one that the index was encoded with")
    for flag, told in (("--topics", "topics to offer"), ("--qrels", "how they were judged")):
        parser.add_argument(
            flag,
            action="append",
            default=[],
            metavar="[INDEX=]T" if flag == "--topics" else "[INDEX=]Q",
            help=f"{told}, a file or a name; of which index, where there are several",
        )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at (%(default)s)")
    parser.add_argument("--port", type=cli.whole(0, 65535), default=8081, help="(%(default)s)")
    parser.add_argument(
        "--mcp",
        choices=["stdio", "http"],
        help="serve MCP, too, at /mcp (http), or alone, over standard input and output (stdio)",
    )
    parser.add_argument(
        "--token-file", metavar="FILE", help="a file with the token that requests must carry"
    )
    parser.add_argument(
        "--queue", type=cli.positive_int, default=256, help="searches that may wait (%(default)s)"
    )
    parser.add_argument(
        "--timeout", type=cli.number(0.001), default=30.0, help="seconds a search (%(default)s)"
    )
    parser.add_argument(
        "--batch-size", type=cli.positive_int, default=16, help="searches at once (%(default)s)"
    )
    parser.add_argument(
        "--threads", type=cli.threads, default=1, help="batches at once (%(default)s)"
    )
    parser.add_argument(
        "--max-body", type=cli.size, default=1 << 20, help="the largest body of a request (1m)"
    )
    cli.add_device_arguments(parser)
    return parser


def serve(args: argparse.Namespace) -> None:
    """Run the command."""
    try:
        import uvicorn

        from hypserini.serve.app import Served, make_app
        from hypserini.serve.guard import LOOPBACK, Limits

        if args.mcp:
            from hypserini.serve.mcp_tools import make_mcp
    except ModuleNotFoundError as error:
        raise HypseriniError(
            f"{error.name} is not installed: pip install 'hypserini[serve]'."
        ) from error
    from hypserini.serve.judged import read_judged
    from hypserini.serve.served import index_names, open_indexes

    if args.mcp == "stdio":
        alone = {"host", "port", "token_file", "max_body"}
        names = " ".join(sorted(alone))
        cli.refuse_ignored(args, [(False, "serving by HTTP, not --mcp stdio", names)])
    token = _read_token(args.token_file)
    local = args.host in LOOPBACK
    if not local and token is None and args.mcp != "stdio":
        logger.warning("%s can be reached from elsewhere: --token-file asks for a token", args.host)
    indexes = open_indexes(
        args.indexes,
        limit=args.queue,
        threads=args.threads,
        judged=read_judged(index_names(args.indexes), args.topics, args.qrels),
        model=args.model,
        device=args.device,
        dtype=args.dtype,
        batch_size=args.batch_size,
    )
    served = Served(indexes, args.timeout)
    mcp = make_mcp(served) if args.mcp else None
    if mcp is not None and args.mcp == "stdio":
        try:
            asyncio.run(mcp.run_stdio_async(show_banner=False))
        finally:
            for index in indexes.values():
                index.close()
        return
    limits = Limits(token, body_bytes=args.max_body, hosts=LOOPBACK if local else None)
    app = make_app(served, limits, mcp.http_app(path="/mcp") if mcp is not None else None)
    logger.info("serving %s at http://%s:%d/", ", ".join(indexes), args.host, args.port)
    uvicorn.run(
        app,
        host=args.host,
        port=args.port,
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=int(args.timeout) + 1,
    )


def _read_token(path: str | None) -> str | None:
    if path is None:
        return None
    token = Path(path).read_text(encoding="utf-8", errors="replace").strip()
    if not token or not token.isascii() or not token.isprintable():
        raise HypseriniError(f"the token file {path} holds no line of printable ASCII characters.")
    return token


def main(argv: Sequence[str] | None = None) -> int:
    """Parse `argv` and run the command; see `cli.main` for the exit status."""
    return cli.main(make_parser(), serve, argv)


if __name__ == "__main__":
    raise SystemExit(main())
