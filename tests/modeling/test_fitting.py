"""What does not fit into a device's memory is done in halves, and nothing is lost or done twice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from hypserini.encode import DocumentEncoder, QueryEncoder
from hypserini.modeling import load_model
from hypserini.modeling.fitting import Fitting

APPLE = RuntimeError("MPS backend out of memory (MPS allocated: 9.01 GB)")


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("no memory"), APPLE], ids=["cuda", "mps"])
@pytest.mark.parametrize(("room", "least"), [(1, 1), (7, 1), (64, 64), (100, 64), (1000, 64)])
def test_all_is_done_once_in_parts_that_fit(room: int, least: int, error, caplog) -> None:
    done: list[int] = []

    def work(start: int, end: int) -> None:
        if end - start > room:
            raise error
        done.extend(range(start, end))

    fitting = Fitting("documents", least)
    for _ in range(2):
        done.clear()
        fitting.run(work, 500)
        assert done == list(range(500))
    halvings = [line for line in caplog.messages if "do not fit" in line]
    assert bool(halvings) == (room < 500)
    assert len(halvings) <= 9  # once, and not for the second 500 again


def test_what_cannot_fit_is_an_error() -> None:
    for error in (torch.OutOfMemoryError("no memory"), RuntimeError("another")):

        def work(start: int, end: int, error: Exception = error) -> None:
            raise error

        with pytest.raises(type(error)) as caught:
            Fitting("documents", 64).run(work, 500)
        assert caught.value is error


def test_texts_are_encoded_alike_in_halves(tiny_model: Path, monkeypatch) -> None:
    texts = [f"text number {number} of some" for number in range(20)]
    model = load_model(tiny_model, device="cpu")
    vectors = DocumentEncoder(model).encode(texts)
    q_nets = QueryEncoder(model).encode(texts)
    for name in ("encode_documents", "encode_queries"):
        encode = getattr(model, name)

        def narrow(ids: torch.Tensor, mask: torch.Tensor, encode=encode):
            if len(ids) > 6:
                raise torch.OutOfMemoryError("no memory")
            return encode(ids, mask)

        monkeypatch.setattr(model, name, narrow)
    assert np.allclose(DocumentEncoder(model).encode(texts), vectors, atol=1e-5)
    halved = QueryEncoder(model).encode(texts)
    some = torch.randn(5, model.dim)
    assert torch.allclose(halved.score(some), q_nets.score(some), atol=1e-4)
