"""Threads that compute alone leave torch's number of threads as it was; forks are refused."""

from __future__ import annotations

import os
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
import torch
from processes import run

from hypserini.modeling.workers import one_thread, run_apart


def test_threads_that_overlap_put_the_number_back() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    second_is_in, first_is_out = threading.Event(), threading.Event()

    def second() -> int:
        with one_thread():
            second_is_in.set()
            assert first_is_out.wait(10)
            return torch.get_num_threads()

    try:
        with ThreadPoolExecutor(1) as pool:
            with one_thread():
                inside = pool.submit(second)
                assert second_is_in.wait(10)
                assert torch.get_num_threads() == 1
            first_is_out.set()
            assert inside.result() == 1
        with ThreadPoolExecutor(1) as pool:  # a thread that is new takes over what holds by now
            assert pool.submit(torch.get_num_threads).result() == 2
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


FORK = """
import os, select, signal, sys
import torch
torch.set_num_threads(2)

def forked(work):
    readable, writable = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            exec(work, globals())
            said = "fine"
        except BaseException as error:
            said = f"{{type(error).__name__}}: {{error}}"
        os.write(writable, said.encode())
        os._exit(0)
    waited = select.select([readable], [], [], 20)[0]
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return os.read(readable, 400).decode() if waited else "it hangs"

for parent, children in {steps}:
    exec(parent)
    for work in children:
        print(forked(work))
"""
LOAD = "from hypserini.modeling import load_model; model = load_model(sys.argv[1], device='cpu')"
ENCODE = "from hypserini.encode import QueryEncoder; QueryEncoder(model).encode(['graph'])"
SEARCHER = (
    "from hypserini import LuceneHypencoderSearcher\n"
    "searcher = LuceneHypencoderSearcher(sys.argv[2], device='cpu')"
)
ALONE = "torch.set_num_threads(1); "
REFUSED = "ForkError: .*'spawn'.*set_num_threads"
FROM_JAVA = "JavaError: .*'spawn'"


# What a process does, step by step, and what children that it forks after each are told.
STEPS = {
    "": {f"{LOAD}; {ENCODE}": "fine"},
    SEARCHER: {
        "searcher.search('graph', mode='exhaustive')": FROM_JAVA,
        "searcher.search('graph')": FROM_JAVA,
        "searcher.rerank('graph', ['doc0001'])": FROM_JAVA,
        ALONE + "searcher.search('graph')": FROM_JAVA,
        "searcher.doc('doc0001')": FROM_JAVA,
    },
    # One thread is all that the workers of a DataLoader have.
    LOAD: {ENCODE: REFUSED, LOAD: REFUSED, ALONE + ENCODE: "fine"},
}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_process_is_told_at_once(tiny_model: Path, index: Path) -> None:
    steps = [(parent, list(answers)) for parent, answers in STEPS.items()]
    done = run(FORK.format(steps=steps), tiny_model, index)
    told = done.stdout.splitlines()
    wanted = [pair for answers in STEPS.values() for pair in answers.items()]
    assert len(told) == len(wanted), done.stderr
    for said, (work, answer) in zip(told, wanted, strict=True):
        assert re.match(answer, said), (work, said)


def test_tasks_compute_alone_and_one_that_fails_ends_the_others() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        seen: list[int] = []

        def look() -> None:
            torch.ones(100_000).add_(1)  # which would be shared out
            seen.append(torch.get_num_threads())

        run_apart([look] * 6)
        assert seen == [1] * 6
        run_apart([look])
        assert seen[6:] == [2]  # one alone has all threads
        begun: list[int] = []

        def task(number: int) -> None:
            begun.append(number)
            if not number:
                raise ValueError("the first")
            time.sleep(0.05)

        with pytest.raises(ValueError, match="the first"):
            run_apart([partial(task, number) for number in range(50)])
        ended = len(begun)
        assert ended < 50
        time.sleep(0.2)
        assert len(begun) == ended
    finally:
        torch.set_num_threads(before)
