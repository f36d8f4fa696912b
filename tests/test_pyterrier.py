"""The transformer inside PyTerrier's pipelines; skipped where PyTerrier is not installed."""

from __future__ import annotations

import pytest

from hypserini import LuceneHypencoderSearcher

pt = pytest.importorskip("pyterrier", reason="pip install 'hypserini[pyterrier]'")
pd = pytest.importorskip("pandas")


@pytest.fixture(scope="module")
def transformer(index):
    from hypserini.pyterrier import HypencoderTransformer

    with LuceneHypencoderSearcher(index, device="cpu") as searcher:
        yield HypencoderTransformer(searcher, num_results=7)


def test_queries_are_searched(transformer, topics) -> None:
    queries = pd.DataFrame({"qid": list(topics), "query": list(topics.values())})
    found = transformer(queries)
    assert list(found["qid"].unique()) == list(topics)
    for qid, query in topics.items():
        rows = found[found["qid"] == qid]
        hits = transformer.searcher.search(query, 7)
        assert list(rows["docno"]) == [hit.docid for hit in hits]
        assert list(rows["rank"]) == list(range(7))
        assert set(rows["query"]) == {query}


def test_a_first_stage_is_reranked_and_its_columns_stay(transformer, topics) -> None:
    rows = [
        {"qid": qid, "query": query, "docno": f"doc{i:04}", "text": f"{qid}/{i}", "score": -i}
        for qid, query in topics.items()
        for i in (3, 1, 2)
    ]
    rows.append({**rows[0], "docno": "nowhere", "text": "strange"})
    pipeline = pt.Transformer.from_df(pd.DataFrame(rows)) >> transformer
    queries = pd.DataFrame({"qid": list(topics), "query": list(topics.values())})
    found = pipeline(queries)
    assert len(found) == len(rows)
    for qid, query in topics.items():
        mine = found[found["qid"] == qid]
        hits = transformer.searcher.rerank(query, ["doc0003", "doc0001", "doc0002"])
        assert list(mine["docno"])[:3] == [hit.docid for hit in hits]
        assert next(iter(mine["text"])) == f"{qid}/{int(hits[0].docid[3:])}"
    first = next(iter(topics))
    assert list(found[found["qid"] == first]["docno"])[3:] == ["nowhere"]


def test_nothing_gives_nothing(transformer) -> None:
    empty = transformer(pd.DataFrame({"qid": [], "query": [], "docno": []}))
    assert len(empty) == 0
    assert {"docno", "score", "rank"} <= set(empty.columns)
    with pytest.raises(ValueError, match="no column query"):
        transformer(pd.DataFrame({"qid": ["1"]}))
