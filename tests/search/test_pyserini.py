"""The same index and the same runs in Pyserini's own hands."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
from conftest import SHARED
from processes import run

pytestmark = pytest.mark.long

PYSERINI = Path(__file__).resolve().parents[1] / "pyserini_offline.py"
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "rerank_bm25.py"
OLD_LINE = version("pyserini").startswith("1.")


def pyserini(module: str, *arguments: object) -> str:
    """Run a Pyserini module in a process of its own; what it printed."""
    command = [sys.executable, PYSERINI, module, *arguments]
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


PRELUDE = (
    f"import sys; sys.path.insert(0, {str(PYSERINI.parent)!r})\n"
    "from pyserini_offline import offline, use_our_jdk; offline(); use_our_jdk()\n"
)


SESSION = """
import json, traceback
from contextlib import redirect_stdout
from io import StringIO
answers = open(int(sys.argv[1]), "w")
for line in sys.stdin:
    code, *sys.argv = json.loads(line)
    printed, error = StringIO(), ""
    try:
        with redirect_stdout(printed):
            exec(code, {"__name__": "__main__"})
    except BaseException:
        error = traceback.format_exc()
    print(json.dumps([printed.getvalue(), error]), file=answers, flush=True)
"""
"""Runs one script after the other: to import Pyserini takes longer than what they do."""


@pytest.fixture(scope="module")
def session() -> Iterator[Callable[..., str]]:
    """Runs code in a process that has imported Pyserini for others before; what it printed."""
    answers, theirs = os.pipe()
    command = [sys.executable, "-c", PRELUDE + SESSION, str(theirs)]
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, text=True, pass_fds=[theirs]) as process,
        open(answers) as lines,
    ):
        os.close(theirs)

        def run(code: str, *arguments: object) -> str:
            process.stdin.write(json.dumps([code, "-c", *map(str, arguments)]) + "\n")
            process.stdin.flush()
            printed, error = json.loads(lines.readline() or '["", "the process ended"]')
            assert not error, error[-2000:]
            return printed

        yield run
        process.stdin.close()


MODULE = """
import runpy, sys
sys.argv = sys.argv[1:]
try:
    runpy.run_module(sys.argv[0], run_name="__main__")
except SystemExit as ended:
    if ended.code:
        raise
"""
"""Runs a module of Pyserini's, given with its arguments."""


@pytest.fixture(scope="module")
def workload(request, tmp_path_factory, tiny_model, index, collection, topics_file):
    """Collection, topics and our index: CACM's, or the made ones where CACM is not there."""
    if not (SHARED / "cacm").is_dir():
        return collection, topics_file, index
    from hypserini.index.build import build_index
    from hypserini.index.options import IndexOptions

    cacm = SHARED / "cacm"
    path = tmp_path_factory.mktemp("indexes") / "cacm-bm25"
    options = IndexOptions(max_length=16)
    build_index(cacm / "corpus.jsonl", path, str(tiny_model), options, progress=False)
    return cacm / "corpus.jsonl", cacm / "topics.tsv", path


BM25 = """
import sys
from pathlib import Path
from pyserini.search.lucene import LuceneSearcher
topics = [line.split("\t") for line in Path(sys.argv[1]).read_text().splitlines()]
for index in sys.argv[2:]:
    searcher = LuceneSearcher(index)
    print("run")
    for qid, text in topics:
        for rank, hit in enumerate(searcher.search(text, 1000), start=1):
            print(qid, "Q0", hit.docid, rank, f"{hit.score:.6f}", "bm25")
"""


def test_bm25_over_our_index_is_bm25_over_pyserinis(workload, session, tmp_path: Path) -> None:
    collection, topics_file, index = workload
    source = tmp_path / "source"
    source.mkdir()
    (source / "corpus.jsonl").symlink_to(collection)
    theirs = tmp_path / "theirs"
    arguments = ["--collection", "JsonCollection", "--input", source, "--index", theirs]
    arguments += ["--generator", "DefaultLuceneDocumentGenerator", "--threads", 1]
    pyserini("pyserini.index.lucene", *arguments)
    _, expected, found = session(BM25, topics_file, theirs, index).split("run\n")
    assert expected.count("\n") > 100
    assert found == expected


DENSE = """
import sys
from pyserini.search.lucene import LuceneFlatDenseSearcher, LuceneHnswDenseSearcher
vector = [(7 * i % 11 - 5) / 10 for i in range(32)]
searchers = (LuceneHnswDenseSearcher, LuceneFlatDenseSearcher, LuceneHnswDenseSearcher)
for searcher, index in zip(searchers, sys.argv[1:]):
    print(*(hit.docid for hit in searcher(index).searcher.search(None, vector, 5)))
"""


@pytest.mark.skipif(
    not OLD_LINE, reason="Pyserini 2.4's dense searchers ask the web even for a local index"
)
def test_pyserinis_dense_searchers_open_our_index(
    tmp_path: Path, tiny_model: Path, collection: Path, session
) -> None:
    from hypserini.index.build import build_index
    from hypserini.index.options import IndexOptions

    formats = ("hnsw", "flat", "hnsw-int8")
    for vectors in formats:
        options = IndexOptions(vectors=vectors)
        build_index(collection, tmp_path / vectors, str(tiny_model), options, progress=False)
    printed = session(DENSE, *(tmp_path / vectors for vectors in formats))
    from_graph, from_flat, from_quantized = map(str.split, printed.splitlines())
    assert from_graph == from_flat
    assert len(set(from_flat)) == 5
    assert len(set(from_quantized)) == 5  # which ones, 7 bits do not tell of vectors so alike


def test_our_runs_go_through_trec_eval_and_fusion(
    tmp_path: Path, index: Path, topics_file: Path, topics: dict[str, str], session
) -> None:
    from hypserini.search.__main__ import main

    run = tmp_path / "run.txt"
    arguments = ["--index", index, "--topics", topics_file, "--output", run, "--hits", 100]
    assert main([*map(str, arguments), "--quiet", "--device", "cpu"]) == 0
    lines = [line.split() for line in run.read_text().splitlines()]
    best = {qid: docid for qid, _, docid, rank, *_ in reversed(lines) if rank == "1"}
    qrels = tmp_path / "qrels.txt"
    qrels.write_text("".join(f"{qid} 0 {docid} 1\n" for qid, docid in best.items()))
    fused = tmp_path / "fused.txt"
    printed = session(MODULE, "pyserini.eval.trec_eval", "-m", "recip_rank", qrels, run)
    session(MODULE, "pyserini.fusion", "--runs", run, run, "--output", fused, "--method", "rrf")
    assert json.loads(printed.split("recip_rank")[1].split()[1]) == 1.0
    fused_lines = [line.split() for line in fused.read_text().splitlines()]
    assert {qid for qid, *_ in fused_lines} == set(topics)
    assert {q: d for q, _, d, r, *_ in fused_lines if r == "1"} == best


TWO_STAGES = """
import runpy, sys
from pathlib import Path
index, topics_file, output, example = sys.argv[1:]
sys.argv = [example, index, topics_file, output]
there = runpy.run_path(example, run_name="__main__")

from pyserini.search.hybrid import HybridSearcher
from hypserini import LuceneHypencoderSearcher
from hypserini.search.bm25 import Bm25
searcher = LuceneHypencoderSearcher(index, device="cpu")
queries, qids = list(there["queries"]), there["qids"]
with Bm25(index) as bm25:
    ours = bm25.batch_search(queries, qids, 1000, 2)
for query, qid in zip(queries, qids):
    theirs = [(hit.docid, hit.score) for hit in there["searcher"].search(query, 1000)]
    assert [(hit.docid, hit.score) for hit in ours[qid]] == theirs, qid
print("bm25 alike")

hybrid = HybridSearcher(searcher, there["searcher"])
dense = searcher.batch_search(queries[:5], qids[:5], 100)
fused = hybrid.batch_search(queries[:5], qids[:5], 100, 20, 1, 0.5, True)
for qid, query in zip(qids, queries[:5]):
    assert len(fused[qid]) == 20
    one = hybrid.search(query, 100, 20, 0.5, True)
    assert abs(one[0].score - fused[qid][0].score) < 1e-4
    assert {hit.docid for hit in fused[qid]} <= (
        {hit.docid for hit in dense[qid]} | {hit.docid for hit in ours[qid][:100]}
    )
print("hybrid alike")
"""


def test_two_stages_in_pyserinis_manner_and_its_hybrid_searcher(
    workload, session, tmp_path: Path
) -> None:
    pytest.importorskip("faiss", reason="pyserini.search.hybrid imports faiss")
    _, topics_file, index = workload
    topics = tmp_path / "topics.tsv"  # Pyserini reads any path with cacm in it as CACM's own format
    topics.write_text("".join(topics_file.read_text().splitlines(keepends=True)[:12]))
    ours = [line for line in EXAMPLE.read_text().splitlines() if "ypencoder" in line]
    assert len(ours) == 2  # one import and one line
    output = tmp_path / "run.txt"
    printed = session(TWO_STAGES, index, topics, output, EXAMPLE)
    assert printed.split() == "bm25 alike hybrid alike".split()
    ranked = [line.split() for line in output.read_text().splitlines()]
    asked = topics.read_text().splitlines()
    assert {qid for qid, *_ in ranked} == {line.split("\t")[0] for line in asked}
    for (one, *_, before, _), (next, *_, after, _) in itertools.pairwise(ranked):
        assert one != next or float(before) >= float(after)


WEB = (
    ""  # Pyserini 2.4 asks the web at its import
    if OLD_LINE
    else f"import sys; sys.path.insert(0, {str(PYSERINI.parent)!r})\n"
    "from pyserini_offline import answer_for_the_web; answer_for_the_web()\n"
)


@pytest.mark.parametrize(
    "script",
    [
        EXAMPLE.read_text(),
        "import sys\n"
        "from hypserini import LuceneHypencoderSearcher\n"
        "searcher = LuceneHypencoderSearcher(sys.argv[1])\n"
        "from pyserini.search.lucene import LuceneSearcher\n"
        "assert len(searcher.rerank('graph', LuceneSearcher(sys.argv[1]).search('graph'))) == 10",
    ],
)
def test_scripts_run_in_a_shell_where_nothing_is_set(
    script: str, index: Path, topics_file: Path, topics: dict[str, str], tmp_path: Path
) -> None:
    unset = dict.fromkeys(
        ["JAVA_HOME", "JDK_HOME", "JRE_HOME", "OPENAI_API_KEY", "OPENAI_ADMIN_KEY"]
    )
    output = tmp_path / "run.txt"
    done = run(WEB + script, index, topics_file, output, **unset)
    assert done.returncode == 0, done.stderr[-2000:]
    if script == EXAMPLE.read_text():
        assert {line.split()[0] for line in output.read_text().splitlines()} == set(topics)
