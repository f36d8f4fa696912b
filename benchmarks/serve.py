"""Load on `hypserini.serve`: clients that ask without a pause, and batch search beside them.

Starts a server of its own on loopback. Run with `python -m benchmarks.serve --index INDEX`; the
queries are the beginnings of documents of the index.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from http.client import HTTPConnection
from urllib.parse import urlencode

import numpy as np

from hypserini import LuceneHypencoderSearcher


def ask(port: int, target: str, until: float, statuses: Counter[int], taken: list[float]) -> None:
    """Ask again and again over one connection; notes status and seconds of each answer."""
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    while (started := time.perf_counter()) < until:
        connection.request("GET", target)
        answer = connection.getresponse()
        answer.read()
        statuses[answer.status] += 1
        taken.append(time.perf_counter() - started)
    connection.close()


def batch_speed(index: str, mode: str, queries: list[str], seconds: float) -> float:
    """Queries a second of batch search, one thread, in this process."""
    with LuceneHypencoderSearcher(index, device="cpu", mode=mode) as searcher:
        qids = [str(n) for n in range(len(queries))]
        searcher.batch_search(queries, qids, 10)
        done, started = 0, time.perf_counter()
        while time.perf_counter() - started < seconds:
            searcher.batch_search(queries, qids, 10)
            done += len(queries)
        return done / (time.perf_counter() - started)


def texts(index: str, count: int) -> list[str]:
    """The first eight words of some documents."""
    with LuceneHypencoderSearcher(index, device="cpu") as searcher:
        docids = [hit.docid for hit in searcher.search("use", count)]
        return [" ".join((searcher.contents(docid) or "use").split()[:8]) for docid in docids]


def main() -> None:
    """Run the load and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--index", required=True)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--mode", default="exhaustive")
    args = parser.parse_args()
    queries = texts(args.index, 64)
    # Half before and half after: other work on the machine slows both.
    alone = [batch_speed(args.index, args.mode, queries, args.seconds / 4)]
    name = args.index.rstrip("/").rpartition("/")[2]
    command = [sys.executable, "-m", "hypserini.serve", "--index", args.index, "--port", "0"]
    with subprocess.Popen(
        [*command, "--device", "cpu"], stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stderr is not None
        port = next(
            int(m[1]) for line in server.stderr if (m := re.search(r"running on .*:(\d+)", line))
        )
        threading.Thread(target=server.stderr.read, daemon=True).start()
        statuses: Counter[int] = Counter()
        taken: list[float] = []
        until = time.perf_counter() + args.seconds
        clients = []
        for n in range(args.clients):
            wanted = urlencode({"query": queries[n % len(queries)], "mode": args.mode})
            target = f"/v1/{name}/search?{wanted}"
            arguments = (port, target, until, statuses, taken)
            clients.append(threading.Thread(target=ask, args=arguments))
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        server.terminate()
    alone.append(batch_speed(args.index, args.mode, queries, args.seconds / 4))
    served = len(taken) / args.seconds
    p50, p95 = np.percentile(np.array(taken) * 1e3, [50, 95])
    print(f"{args.clients} clients, {args.seconds:g} s, {args.mode}: {dict(statuses)}")
    print(f"{served:.1f} requests/s, p50 {p50:.1f} ms, p95 {p95:.1f} ms")
    before, after = alone
    print(f"batch search {before:.1f} queries/s before and {after:.1f} after:", end=" ")
    print(f"{served / np.mean(alone):.2f} of their mean")


if __name__ == "__main__":
    main()
