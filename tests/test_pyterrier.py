"""The transformer inside PyTerrier's pipelines; skipped where PyTerrier is not installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hypserini import LuceneHypencoderSearcher
from hypserini.jvm import jdk

pt = pytest.importorskip("pyterrier", reason="pip install 'hypserini[pyterrier]'")
pd = pytest.importorskip("pandas")


@pytest.fixture(scope="module")
def transformer(index):
    from hypserini.pyterrier import HypencoderTransformer

    with LuceneHypencoderSearcher(index, device="cpu") as searcher:
        yield HypencoderTransformer(searcher, num_results=7)


def frame(*rows: tuple, columns: str = "qid query docno"):
    return pd.DataFrame(rows, columns=columns.split()[: len(rows[0])])


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
    for columns in (["qid", "query"], ["qid", "query", "docno", "score", "rank"]):
        empty = transformer(pd.DataFrame(columns=columns))
        assert len(empty) == 0
        assert [*empty.columns] == ["qid", "query", "docno", "score", "rank"]


def test_ids_keep_their_types(transformer) -> None:
    found = transformer(frame((7, "graph"), (3, "walk")))
    assert found["qid"].tolist() == [7] * 7 + [3] * 7
    rows = frame((7, "graph", "doc0001"), (3, "walk", "doc0002"))
    assert transformer(rows)["qid"].tolist() == [7, 3]
    mixed = pd.DataFrame({"qid": [1, "1"], "query": ["graph", "walk"]}, dtype=object)
    assert transformer(mixed)["query"].tolist() == ["graph"] * 7 + ["walk"] * 7
    numbers = frame(("1", "graph", 5))
    assert transformer(numbers)[["docno", "rank"]].values.tolist() == [[5, 0]]


def test_what_is_there_twice_counts_once(transformer) -> None:
    assert len(transformer(frame(("1", "graph"), ("1", "graph")))) == 7
    twice = transformer(frame(*[("1", "graph", "doc0001")] * 2, ("1", "graph", "doc0002")))
    assert sorted(twice["docno"]) == ["doc0001", "doc0002"]
    assert twice["rank"].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (frame(("1", "graph"), ("2", None)), "the query of qid 2 is .* and no text"),
        (frame(("1", float("nan"), "doc0001")), "the query of qid 1 is nan"),
        (frame(("1", "graph"), (None, "walk")), "1 rows have no qid"),
        (frame(("1", "graph", None)), "1 rows have no docno"),
        (frame(("1", "graph"), ("1", "walk")), "qid 1 has more than one query, 'walk' among"),
        (frame(("1", "a", "doc0001"), ("1", "b", "doc0002")), "qid 1 has more than one query"),
        (pd.DataFrame({"qid": ["1"]}), "no column query: its columns are"),
        (pd.DataFrame(), "no column qid or query"),
    ],
)
def test_rows_that_cannot_be_searched_for_are_named(transformer, rows, message) -> None:
    with pytest.raises(ValueError, match=message):
        transformer.transform(rows)


def test_pyterrier_can_tell_what_goes_in_and_out(transformer) -> None:
    wanted = pt.inspect.transformer_inputs(transformer)
    assert wanted == [["qid", "query"], ["qid", "query", "docno"]]
    assert pt.inspect.transformer_outputs(transformer, ["qid", "query", "url"]) == (
        ["qid", "query", "url", "docno", "score", "rank"]
    )
    one = pt.inspect.transformer_apply_attributes(transformer, num_results=2)
    assert len(one.search("graph")) == 2


# --- Terrier in the same JVM ----------------------------------------------------------------------

STUBS = {
    "org/terrier/Version.java": "public class Version { public static final String VERSION = "
    '"stub"; }',
    "org/terrier/utility/ApplicationSetup.java": "public class ApplicationSetup { public static "
    "void bootstrapInitialisation(java.util.Properties p) {} }",
    "org/terrier/querying/IndexRef.java": "public class IndexRef {}",
    "org/terrier/indexing/Collection.java": "public interface Collection {}",
    "org/terrier/python/PTUtils.java": "public class PTUtils { public static void "
    "setLogLevel(String level, String name) {} }",
    "org/apache/hadoop/io/FastByteComparisons.java": "public class FastByteComparisons { public "
    "static class LexicographicalComparerHolder {} }",
}
"""What PyTerrier calls of Terrier when it starts; the real jars would have to be downloaded."""

PRELUDE = """
import sys
import pyterrier as pt
from hypserini.jvm import terrier as entry
real = pt.utils.entry_points
def entry_points(group):
    found = [e for e in real(group) if e.name != "hypserini"]
    if group == "pyterrier.java.init":  # as installing hypserini makes it found
        ours = {"name": "hypserini", "load": lambda self: entry.Initializer}
        found.append(type("Entry", (), ours)())
    return found
pt.utils.entry_points = entry_points
pt.java.set_redirect_io(False)
pt.terrier.set_version("1")
pt.terrier.set_helper_version("1")
pt.java.mavenresolver.offline()

def terrier():
    pt.java.init()
    print(pt.terrier.J.Version.VERSION)

def ours():
    from hypserini.pyterrier import HypencoderTransformer
    print(len(HypencoderTransformer(sys.argv[1], num_results=3, device="cpu").search("graph")))
"""


@pytest.fixture(scope="module")
def terrier_home(tmp_path_factory) -> Path:
    """A folder with jars named as Terrier's, where PyTerrier looks before it downloads."""
    home = tmp_path_factory.mktemp("terrier")
    kit = jdk.find(compiler=True)
    for name, body in STUBS.items():
        source = home / "src" / name
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_text(f"package {Path(name).parent.as_posix().replace('/', '.')}; {body}")
    sources = [home / "src" / name for name in STUBS]
    subprocess.run([kit.tool("javac"), "-d", home / "classes", *sources], check=True)
    for name in ("terrier-assemblies-1-jar-with-dependencies", "terrier-python-helper-1"):
        target = home / f"{name}.jar"
        subprocess.run([kit.tool("jar"), "cf", target, "-C", home / "classes", "."], check=True)
    return home


@pytest.mark.parametrize("order", ["terrier ours", "ours terrier"])
def test_terrier_and_we_share_a_jvm_whoever_starts_it(order, terrier_home, index) -> None:
    code = PRELUDE + "".join(f"{call}()\n" for call in order.split())
    environment = {name: value for name, value in os.environ.items() if name != "JAVA_HOME"}
    done = subprocess.run(
        [sys.executable, "-c", code, str(index)],
        capture_output=True,
        text=True,
        env={**environment, "PYTERRIER_HOME": str(terrier_home)},
        check=False,
    )
    answers = {"terrier": "stub", "ours": "3"}
    assert done.stdout.split() == [answers[call] for call in order.split()], done.stderr[-2000:]
