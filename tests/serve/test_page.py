"""The page in a real browser: Chromium, driven by playwright, where both are installed."""

from __future__ import annotations

import shutil

import pytest
from http_client import Client, running

pytest.importorskip("fastapi")
pytest.importorskip("prometheus_client")
playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

HOSTILE = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def opened(browser, client: Client, **options):
    """A page, and the set of hosts it asks, and what goes wrong in it."""
    page = browser.new_page(**options)
    page.set_default_timeout(30_000)
    hosts: set[str] = set()
    faults: list[str] = []
    page.on("request", lambda request: hosts.add(request.url.split("/")[2]))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(f"http://127.0.0.1:{client.port}/")
    return page, hosts, faults


def search(page, query: str) -> None:
    page.fill("#query", query)
    page.keyboard.press("Enter")
    page.wait_for_selector("section:nth-of-type(3) .cost")


def test_three_columns_and_the_keyboard(browser, client: Client):
    page, hosts, faults = opened(browser, client)
    page.keyboard.type("graph walk")  # the query has the focus
    assert page.input_value("#query") == "graph walk"
    page.keyboard.press("Enter")
    page.wait_for_selector("section:nth-of-type(3) li")
    columns = [
        page.locator(f"section:nth-of-type({n}) li").evaluate_all(
            "items => items.map(item => item.dataset.docid)"
        )
        for n in (1, 2, 3)
    ]
    for mode, docids in zip(("bm25", "auto", "hybrid"), columns, strict=True):
        answer = client.get("/v1/made/search", query="graph walk", mode=mode)[1]
        assert docids == [each["docid"] for each in answer["candidates"]]
    assert page.locator("mark").count() > 0
    assert "documents scored" in page.locator("section:nth-of-type(2) .cost").inner_text()
    focused = "document.activeElement.dataset.docid"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("j")
    assert page.evaluate(focused) == columns[0][1]
    page.keyboard.press("l")
    assert page.evaluate(focused) == columns[1][1]
    page.keyboard.press("Enter")
    assert page.locator("li[data-open]").count() == 1
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "query"
    page.fill("#filter", "((")
    page.keyboard.press("Enter")
    page.wait_for_selector(".error")
    assert "syntax" in page.inner_text("#told")
    colours = [
        f"getComputedStyle(document.querySelector('{one}')).color" for one in ("#told", "#help")
    ]
    assert page.evaluate(colours[0]) != page.evaluate(colours[1])
    assert hosts == {f"127.0.0.1:{client.port}"}
    assert faults == []


def test_judged_topics_and_the_words_that_raised_a_score(browser, client: Client, topics):
    page, _, faults = opened(browser, client)
    page.wait_for_selector("#topics:not([hidden])")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("n")
    page.wait_for_selector("section:nth-of-type(3) li")
    assert page.input_value("#query") == topics["1"]
    answer = client.get("/v1/made/search", query=topics["1"], mode="bm25", qid="1")[1]
    shown = page.inner_text("section:nth-of-type(1) .ndcg")
    assert shown == f"nDCG@10 {answer['judged']['nDCG@10']:.3f}"
    relevant = {docid for docid, grade in answer["judged"]["grades"].items() if grade > 0}
    marked = page.locator("section:nth-of-type(1) li.judged").evaluate_all(
        "items => items.map(item => item.dataset.docid)"
    )
    assert set(marked) == relevant
    page.wait_for_selector("section:nth-of-type(2) li:first-child[data-marks=raised]")
    best = page.get_attribute("section:nth-of-type(2) li", "data-docid")
    found = client.get(f"/v1/made/explain/{best}", query=topics["1"], words="document")[1]
    assert found["explanation"]["query_words"] is None
    values: dict[str, float] = {}
    for word in found["explanation"]["document_words"]["words"]:
        text = word["text"].lower()
        values[text] = values.get(text, 0.0) + word["value"]
    words = page.locator("section:nth-of-type(2) li:first-child mark").all_inner_texts()
    assert words
    assert all(values[word.lower()] > 0 for word in words)
    assert max(values, key=values.__getitem__) in {word.lower() for word in words}
    assert faults == []


def test_it_fits_a_phone_and_the_dark(browser, client: Client):
    size = {"width": 360, "height": 700}
    page, _, _ = opened(browser, client, viewport=size, color_scheme="dark")
    search(page, "graph walk")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.locator("section:nth-of-type(3)").scroll_into_view_if_needed()  # one swipes to it
    assert page.evaluate("document.querySelector('main').scrollLeft") > 360
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert max(map(int, ground[4:-1].split(","))) < 64


class HostileIndex:
    """Stands for an index whose documents are out to run scripts."""

    name = HOSTILE
    queue = ()

    def about(self):
        return {"name": self.name, "documents": 1}

    def topics(self):
        return {"topics": [{"qid": HOSTILE, "text": HOSTILE}]}

    def submit(self, search):
        from concurrent.futures import Future

        job: Future = Future()
        hit = {
            "docid": HOSTILE,
            "score": 1.0,
            "rank": 1,
            "doc": {"title": HOSTILE, "text": HOSTILE},
        }
        job.set_result(
            {"candidates": [hit], "cost": {"batch_ms": 1, "evaluations": 1, "mode": HOSTILE}}
        )
        return job

    def close(self) -> None:
        pass


def test_hostile_documents_stay_text(browser):
    from hypserini.serve.app import Served, make_app

    with running(make_app(Served({HOSTILE: HostileIndex()}))) as client:
        page, hosts, faults = opened(browser, client)
        search(page, HOSTILE)
        assert HOSTILE in page.inner_text("section:nth-of-type(1) li")
        assert page.locator("main img, main script").count() == 0
        assert page.title() == "hypserini"
        # Nothing explains its scores, and the page says so.
        page.wait_for_selector("section:nth-of-type(2) .legend.error")
        assert "not known" in page.inner_text("section:nth-of-type(2) .legend")
        assert hosts == {f"127.0.0.1:{client.port}"}
        assert faults == []
        page.close()
