"""Judged topics behind REST: their list, and what an answer says of its ranking."""

from __future__ import annotations

import pytest
from http_client import Client

from hypserini.errors import HypseriniError
from hypserini.evaluate.measures import evaluate
from hypserini.formats.qrels import load_qrels
from hypserini.serve.judged import read_judged

pytest.importorskip("fastapi")
pytest.importorskip("fastmcp")
pytest.importorskip("prometheus_client")

SEARCH = "/v1/made/search"


def test_the_topics_that_are_judged_are_offered(client: Client, topics):
    status, answer = client.get("/v1/made/topics")
    assert status == 200
    assert answer["topics"] == [{"qid": qid, "text": topics[qid]} for qid in ("1", "2")]
    assert answer["qrels"] == "qrels.txt"  # and not where it lies
    assert client.get("/v1/indexes")[1]["indexes"][0]["judged"] == 2
    assert client.get("/v1/absent/topics")[0] == 400


@pytest.mark.parametrize("mode", ["bm25", "exhaustive", "hybrid"])
def test_a_judged_search_tells_its_measure_and_grades(
    client: Client, topics, judged_files, mode: str
):
    qrels = load_qrels(judged_files[1]).judgements
    asked = {"query": topics["1"], "mode": mode}
    hits = client.get(SEARCH, **asked, hits=10)[1]["candidates"]
    found = {hit["docid"]: hit["score"] for hit in hits}
    [expected] = evaluate({"1": qrels["1"]}, {"1": found}, ["nDCG@10"]).values()
    # As of ten hits, also where fewer are shown.
    status, answer = client.get(SEARCH, **asked, hits=3, qid="1")
    assert status == 200
    assert answer["candidates"] == hits[:3]
    judged = answer["judged"]
    assert judged["nDCG@10"] == pytest.approx(expected["1"], abs=1e-4)
    assert judged["relevant"] == sum(grade > 0 for grade in qrels["1"].values())
    assert judged["grades"] == {docid: qrels["1"][docid] for docid in found if docid in qrels["1"]}


def test_other_queries_are_not_judged(client: Client):
    assert "judged" not in client.get(SEARCH, query="graph")[1]
    status, answer = client.get(SEARCH, query="graph", qid="3")
    assert (status, answer["error"]) == (400, "Parameter 'qid' names no judged topic of made")


def test_flags_name_the_index_where_there_are_several(judged_files):
    topics, qrels = map(str, judged_files)
    assert list(read_judged(["a"], [topics], [qrels])["a"].topics) == ["1", "2"]
    several = read_judged(["a", "b"], [f"b={topics}"], [f"b={qrels}"])
    assert list(several) == ["b"]
    for names, given, judged, said in (
        (["a", "b"], [topics], [f"a={qrels}"], "says not of which index: write a=FILE"),
        (["a"], [topics], [], "--topics of the index a needs --qrels"),
        (["a"], [], [qrels], "--qrels of the index a needs --topics"),
        (["a"], [topics, f"a={topics}"], [qrels], "given twice"),
        (["a"], ["absent.tsv"], [qrels], "absent.tsv does not exist"),
    ):
        with pytest.raises(HypseriniError, match=said):
            read_judged(names, given, judged)


def test_topics_of_another_collection_are_refused(judged_files, tmp_path):
    other = tmp_path / "other.tsv"
    other.write_text("x9\tgraph\n")
    with pytest.raises(HypseriniError, match=r"none of the 1 topics of .* is judged"):
        read_judged(["a"], [str(other)], [str(judged_files[1])])
