from __future__ import annotations

import json
import random
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest
from http_client import Client, running

pytest.importorskip("fastapi")
pytest.importorskip("fastmcp")
pytest.importorskip("prometheus_client")

SEARCH, DOC = "/v1/made/search", "/v1/made/doc/"


@pytest.fixture(scope="module")
def searcher(index):
    from hypserini import LuceneHypencoderSearcher

    with LuceneHypencoderSearcher(index, device="cpu") as searcher:
        yield searcher


def docids(answer) -> list[str]:
    assert answer[0] == 200, answer
    return [each["docid"] for each in answer[1]["candidates"]]


def test_search_answers_as_pyserinis_server(client: Client, searcher):
    status, answer = client.get(SEARCH, query="graph walk", hits=5)
    assert status == 200
    assert set(answer) == {"api", "index", "query", "candidates"}
    assert (answer["api"], answer["index"]) == ("v1", "made")
    assert answer["query"] == {"text": "graph walk"}
    expected = searcher.search("graph walk", 5)
    found = answer["candidates"]
    assert [each["docid"] for each in found] == [hit.docid for hit in expected]
    assert [each["rank"] for each in found] == [1, 2, 3, 4, 5]
    assert [each["score"] for each in found] == pytest.approx([hit.score for hit in expected])
    # The one field that is left when the id is taken away stands for the document.
    assert found[0]["doc"] == searcher.contents(found[0]["docid"])


def test_parse_and_max_doc_length(client: Client, searcher):
    assert client.get(DOC + "doc0007", parse="false")[1]["doc"] == searcher.doc("doc0007").raw()
    beginning = searcher.contents("doc0007")[:5]
    answer = {"api": "v1", "index": "made", "docid": "doc0007", "doc": beginning}
    assert client.get(DOC + "doc0007", max_doc_length=5) == (200, answer)
    first = client.get(SEARCH, query="graph", max_doc_length=3)[1]["candidates"][0]
    assert len(first["doc"]) == 3


def test_bm25_with_its_parameters(client: Client, searcher):
    from hypserini.search.bm25 import Bm25, Bm25Options

    for parameters in ({}, {"k1": 1.2, "b": 0.75}):
        with Bm25(searcher.index.path, Bm25Options(**parameters)) as bm25:
            expected = [hit.docid for hit in bm25.search("graph walk", 5)]
        found = client.get(SEARCH, query="graph walk", hits=5, mode="bm25", **parameters)
        assert docids(found) == expected


def test_filter_pages_cost_and_hybrid(client: Client, searcher):
    deep = docids(client.get(SEARCH, query="graph walk", mode="hybrid", hits=20))
    pages = [
        docids(client.get(SEARCH, query="graph walk", mode="hybrid", hits=5, offset=offset))
        for offset in (0, 5, 10, 15)
    ]
    assert [docid for page in pages for docid in page] == deep
    first = docids(client.get(SEARCH, query="graph", hits=20))
    assert docids(client.get(SEARCH, query="graph", hits=5, offset=15)) == first[15:]
    answer = client.get(
        SEARCH, query="graph", filter="contents:heap", mode="exhaustive", cost="true"
    )
    expected = searcher.search("graph", 10, mode="exhaustive", filter="contents:heap")
    assert docids(answer) == [hit.docid for hit in expected]
    assert answer[1]["cost"]["evaluations"] == expected.cost.evaluations
    assert answer[1]["cost"]["mode"] == "exhaustive"
    hybrid = docids(client.get(SEARCH, query="graph", hits=10, mode="hybrid"))
    both = {*first, *docids(client.get(SEARCH, query="graph", hits=10, mode="bm25"))}
    assert len(hybrid) == 10
    assert set(hybrid) <= both


def test_rerank_by_url_and_by_body(client: Client, searcher):
    given = ["doc0003", "doc0001", "doc0002", "absent"]
    expected = [hit.docid for hit in searcher.rerank("graph", given[:3])]
    assert docids(client.get(SEARCH, query="graph", rerank=given)) == expected
    assert docids(client.post(SEARCH, {"query": "graph", "rerank": given})) == expected
    for nothing in ([], [" "]):
        status, answer = client.post(SEARCH, {"query": "graph", "rerank": nothing})
        assert (status, answer) == (400, {"error": "Parameter 'rerank' names no docid"})
    assert client.get(SEARCH, query="graph", rerank="")[0] == 400
    assert docids(client.post(SEARCH, {"query": "graph", "hits": 2})) == docids(
        client.get(SEARCH, query="graph", hits=2)
    )


def test_explain(client: Client, searcher):
    path = "/v1/made/explain/"
    status, answer = client.get(path + "doc0007", query="graph walk")
    assert status == 200
    expected = searcher.explain("graph walk", "doc0007")
    found = answer["explanation"]
    assert found["score"] == pytest.approx(expected.score, abs=1e-4)
    assert found["linear"] + found["bent"] == pytest.approx(found["score"], abs=1e-5)
    words = [word.text for word in expected.document_words.words]
    assert [word["text"] for word in found["document_words"]["words"]] == words
    assert client.get(path + "absent", query="graph")[0] == 404
    assert client.get(path + "doc0007")[0] == 400
    # The encoder is as it was.
    assert docids(client.get(SEARCH, query="graph walk", hits=5)) == [
        hit.docid for hit in searcher.search("graph walk", 5)
    ]


@pytest.mark.parametrize(
    ("path", "parameters", "status", "message"),
    [
        (SEARCH, {}, 400, "Parameter 'query' is required"),
        (SEARCH, {"query": " "}, 400, "Parameter 'query' is required"),
        (SEARCH, {"query": "a", "hits": "x"}, 400, "Parameter 'hits' must be an integer"),
        (SEARCH, {"query": "a", "hits": 0}, 400, "Parameter 'hits' must be positive"),
        (SEARCH, {"query": "a", "parse": "x"}, 400, "Parameter 'parse' must be 'true' or 'false'"),
        (SEARCH, {"query": "a", "k1": "x"}, 400, "Parameter 'k1' must be a number"),
        (
            SEARCH,
            {"query": "a", "max_doc_length": 5, "parse": "false"},
            400,
            "Parameter 'max_doc_length' requires parse=true",
        ),
        (DOC + "%20", {}, 400, "Path parameter 'docid' is required"),
        (DOC + "absent", {}, 404, "Document not found: absent"),
        ("/v2/x", {}, 404, "Expected route /v1/{index}/search or /v1/{index}/doc/{docid}"),
        ("/v1//etc/search", {"query": "a"}, 400, "Index not configured for this server: /etc"),
    ],
)
def test_errors_are_pyserinis(client: Client, path, parameters, status, message):
    assert client.get(path, **parameters) == (status, {"error": message})


def test_what_is_ours_is_checked(client: Client):
    for parameters, word in [
        ({"k1": 1, "b": 0.5}, "bm25"),
        ({"k1": 1, "mode": "bm25"}, "k1 and b must be set together"),
        ({"k1": "nan", "b": 0.5, "mode": "bm25"}, "finite"),
        ({"k1": 1, "b": 2, "mode": "bm25"}, "[0, 1]"),
        ({"mode": "fast"}, "auto"),
        ({"hits": 10**9}, "10000"),
        ({"colour": "red"}, "colour"),
        ({"filter": "(("}, "syntax"),
    ]:
        status, answer = client.get(SEARCH, query="graph", **parameters)
        assert status == 400, parameters
        assert word in answer["error"]


def test_a_filter_opens_no_file(client: Client, tmp_path):
    path = tmp_path / "docids.txt"
    path.write_text("doc0001\n")
    status, answer = client.get(SEARCH, query="graph", filter=str(path))
    assert status == 400 or answer["candidates"] == []


def test_hostile_requests(client: Client):
    """None of a thousand is answered with 500, or with a word about the machine."""
    rng = random.Random(0)
    pieces = ["\x00", "\ud800", "🦜", "a" * 5000, '"', "((", "*:*", "[* TO *]", "../", "%2e%2e%2f"]
    pieces += ["-1", "1e999", "NaN", "null", "9" * 5000, "<script>", "' OR 1=1", "contents:/.*/~"]
    names = "query hits offset parse k1 b max_doc_length mode filter cost rerank".split()

    def word() -> str:
        return "".join(rng.choices(pieces, k=rng.randint(1, 3)))

    def request(number: int) -> tuple[str, str, bytes | None]:
        if number % 4 == 0:
            return "GET", "/" + quote(word(), errors="replace", safe="/"), None
        if number % 4 == 1:
            docid = quote(word(), errors="replace", safe="")
            return "GET", f"{DOC}{docid}?parse={quote(word(), errors='replace')}", None
        values = {name: word() for name in rng.sample(names, 3)} | {"query": word()}
        if number % 4 == 2:
            pairs = (f"{name}={quote(value, errors='replace')}" for name, value in values.items())
            return "GET", f"{SEARCH}?{'&'.join(pairs)}", None
        hostile = [values, [], None, {"query": ["a"]}, {"query": "a", "hits": 1e400}]
        body = json.dumps(rng.choice([*hostile, {"query": "a", "rerank": [1, word()]}]))
        return "POST", SEARCH, body.encode()[: rng.randint(1, 20_000)]

    requests = [request(number) for number in range(1000)]
    requests += [
        ("POST", SEARCH, b"[" * 100_000),
        ("POST", SEARCH, b'{"query": "\\ud800"}'),
        ("GET", f"{SEARCH}?query=%ff%fe", None),
        ("GET", f"{SEARCH}?query={'+'.join(f'w{n}' for n in range(2000))}&mode=hybrid", None),
        ("DELETE", SEARCH, None),
    ]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda asked: client.ask(*asked), requests))
    bad = [
        (asked, answer)
        for asked, answer in zip(requests, answers, strict=True)
        if answer[0] >= 500 or b"Traceback" in answer[2] or b"site-packages" in answer[2]
    ]
    assert bad == []
    assert client.get(SEARCH, query="graph")[0] == 200


def test_what_is_no_http_closes_the_connection_alone(client: Client):
    for raw in (
        b"\x16\x03\x01\x00",
        b"GET / HTTP/1.1\r\nContent-Length: -5\r\nHost: localhost\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", client.port), timeout=10) as connection:
            connection.sendall(raw)
            connection.shutdown(socket.SHUT_WR)
            assert b" 500 " not in connection.recv(1000)
    assert client.get("/health") == (200, {"status": "ok", "indexes": ["made"]})


def test_concurrent_requests_get_their_own_answers(client: Client, topics):
    alone = [docids(client.get(SEARCH, query=text)) for text in topics.values()]
    with ThreadPoolExecutor(8) as pool:
        together = list(
            pool.map(lambda text: docids(client.get(SEARCH, query=text)), topics.values())
        )
    # Scores of a batch differ by rounding, and so may the order of equals.
    assert [set(found) for found in together] == [set(found) for found in alone]


def test_pages_and_metrics(client: Client):
    status, headers, body = client.ask("GET", "/", Accept="text/html")
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "default-src 'none'" in headers["content-security-policy"]
    assert b"http://" not in body
    assert b"https://" not in body
    assert client.get("/")[1]["openapi"] == "/openapi.yaml"
    assert client.get("/openapi.json")[1]["paths"].keys() >= {"/v1/{index}/search"}
    assert client.get("/v1/indexes")[1]["indexes"][0]["documents"] == 400
    assert b'hypserini_requests_total{endpoint="doc",status="' in client.ask("GET", "/metrics")[2]


class SlowIndex:
    """Stands for an index whose searches wait until they are let go."""

    name = "slow"

    def __init__(self, limit: int) -> None:
        from hypserini.serve.batching import Batcher

        self.busy, self.free = threading.Event(), threading.Event()
        self.queue = Batcher(self._search, limit=limit, batch_size=1)

    def _search(self, how, searches):
        self.busy.set()
        self.free.wait(30)
        return [{"query": search.query} for search in searches]

    def submit(self, search):
        return self.queue.submit(search.how, search)

    def close(self) -> None:
        self.queue.close()


def test_overload_answers_503_and_recovers():
    from hypserini.serve.app import Served, make_app

    slow = SlowIndex(limit=2)
    with running(make_app(Served({"slow": slow}))) as client, ThreadPoolExecutor(12) as pool:

        def ask(number: int):
            return client.ask("GET", f"/v1/slow/search?query={number}")

        asked = [pool.submit(ask, number) for number in range(12)]
        # One is searched and two wait: the others are turned away at once.
        deadline = time.monotonic() + 30
        while sum(each.done() for each in asked) < 9 and time.monotonic() < deadline:
            time.sleep(0.01)
        slow.free.set()
        answers = [each.result() for each in asked]
        assert sorted(status for status, _, _ in answers) == [200] * 3 + [503] * 9
        turned_away = next(headers for status, headers, _ in answers if status == 503)
        assert turned_away["retry-after"] == "1"
        assert ask(0)[0] == 200


def test_timeouts_are_answered_and_the_rest_is_not_searched():
    from hypserini.serve.app import Served, make_app

    slow = SlowIndex(limit=5)
    with running(make_app(Served({"slow": slow}, timeout=0.05))) as client:
        assert client.get("/v1/slow/search", query="a") == (
            504,
            {"error": "the search took too long"},
        )
        slow.free.set()


def test_a_stop_finishes_what_is_under_way():
    from hypserini.serve.app import Served, make_app

    slow = SlowIndex(limit=5)
    with ThreadPoolExecutor(2) as pool:
        with running(make_app(Served({"slow": slow}))) as client:
            asked = [
                pool.submit(client.get, "/v1/slow/search", query=text, hits=hits)
                for hits, text in enumerate("ab", 1)
            ]
            assert slow.busy.wait(30)
            while not len(slow.queue):  # the other waits
                time.sleep(0.01)
            threading.Timer(0.3, slow.free.set).start()  # while the server stops
        assert [each.result()[0] for each in asked] == [200, 200]


def test_token_host_and_sizes(caplog):
    from hypserini.serve.app import Served, make_app
    from hypserini.serve.guard import Limits

    slow = SlowIndex(limit=5)
    slow.free.set()
    limits = Limits("secret", url_bytes=1000, body_bytes=1000)
    with caplog.at_level("INFO", "hypserini.serve.request"):
        with running(make_app(Served({"slow": slow}), limits)) as client:
            path = "/v1/slow/search?query=a"
            assert client.ask("GET", path)[0] == 401
            assert client.ask("GET", path, Authorization="Bearer wrong")[0] == 401
            assert client.ask("GET", "/metrics")[0] == 401
            assert client.ask("GET", "/health")[0] == 200
            assert client.ask("GET", path, Authorization="Bearer secret")[0] == 200
            assert client.ask("GET", path, X_API_Key="secret")[0] == 200
            assert client.ask("GET", path + "a" * 2000, X_API_Key="secret")[0] == 414
            body = b'{"query": "' + b"a" * 2000 + b'"}'
            assert client.ask("POST", "/v1/slow/search", body, X_API_Key="secret")[0] == 413
            chunked = client.ask("POST", "/v1/slow/search", iter([body] * 9), X_API_Key="secret")
            assert (chunked[0], json.loads(chunked[2])) == (413, {"error": "the body is too large"})
            assert client.ask("GET", path, Host="evil.example", X_API_Key="secret")[0] == 400
    assert len(caplog.records) == 10
    assert "secret" not in caplog.text
    assert '"status":401' in caplog.text
