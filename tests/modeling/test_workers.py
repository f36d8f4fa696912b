"""Threads that compute alone leave torch's number of threads as it was."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import torch

from hypserini.modeling.workers import one_thread


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
