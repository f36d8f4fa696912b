"""The same search on a GPU, where there is one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")


def test_a_gpu_ranks_as_the_cpu(index: Path, topics: dict[str, str]) -> None:
    from hypserini import LuceneHypencoderSearcher

    rankings = {}
    for device in ("cpu", "cuda"):
        with LuceneHypencoderSearcher(index, device=device) as searcher:
            rankings[device] = searcher.batch_search(list(topics.values()), list(topics), 50)
    for qid, hits in rankings["cpu"].items():
        scores = [hit.score for hit in hits]
        assert [hit.score for hit in rankings["cuda"][qid]] == pytest.approx(scores, abs=1e-3)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_finds_much_the_same(
    index: Path, topics: dict[str, str], dtype: str
) -> None:
    from hypserini import LuceneHypencoderSearcher

    found = {}
    for kind in ("float32", dtype):
        with LuceneHypencoderSearcher(index, device="cuda", dtype=kind) as searcher:
            hits = searcher.search(topics["1"], 100)
            found[kind] = {hit.docid for hit in hits}
    assert len(found["float32"] & found[dtype]) >= 80
