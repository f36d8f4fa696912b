"""Starting and joining the JVM; each special situation has a process of its own."""

from __future__ import annotations

import ast
import gc
import importlib.metadata
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from processes import ROUND_TRIP, run

from hypserini import jvm
from hypserini.index.reader import Index
from hypserini.index.writer import IndexWriter
from hypserini.jvm import jar
from hypserini.jvm.threads import detached
from hypserini.search.bm25 import Bm25
from hypserini.search.scan import Scan


def test_import_starts_nothing() -> None:
    code = "import sys, hypserini, hypserini.jvm; assert not {'jnius', 'torch'} & set(sys.modules)"
    assert run(code).returncode == 0


def test_the_lucene_of_the_installed_pyserini_is_loaded() -> None:
    jvm.start()
    jvm.start()
    line = jar.lucene_line(jar.anserini_jar())
    assert jvm.lucene_version().split(".")[0] == str(line)
    if "ANSERINI_CLASSPATH" not in os.environ:
        assert line == (9 if importlib.metadata.version("pyserini").startswith("1.") else 10)


def test_the_start_is_quiet_although_the_default_java_may_be_old(tmp_path: Path) -> None:
    environment = {"JAVA_HOME": str(tmp_path / "no-java-here")}
    done = run(ROUND_TRIP, tmp_path / "index", **environment)
    assert (done.stdout, done.stderr) == ("[[0.0, 1.0], [1.0, 0.0]]\n", "")


def test_start_options_can_be_given() -> None:
    code = """
        from hypserini import jvm
        print(jvm.java_class("java.lang.Runtime").getRuntime().maxMemory() >> 20)
    """
    assert run(code, HYPSERINI_JAVA_OPTIONS="-Xmx96m -Dx='a b'").stdout.strip() == "96"


def test_a_small_heap_is_enough_for_flat_vectors(tmp_path: Path) -> None:
    code = """
        import sys, numpy as np
        from hypserini.index.reader import Index
        from hypserini.index.writer import IndexWriter
        with IndexWriter(sys.argv[1], dimension=1024, vectors="flat") as writer:
            for start in range(0, 50_000, 1000):
                ids = [str(start + i) for i in range(1000)]
                writer.add(ids, np.ones((1000, 1024), dtype=np.float32))
        print(Index(sys.argv[1]).num_vectors)
    """
    done = run(code, tmp_path / "index", HYPSERINI_JAVA_OPTIONS="-Xmx64m")
    assert done.stdout == "50000\n", done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="signals are another matter there")
@pytest.mark.parametrize("before", ["pass", "import pyserini.pyclass"])
def test_ctrl_c_stays_an_exception(before: str) -> None:
    code = f"""
        {before}
        import os, signal, time
        from hypserini import jvm
        jvm.start()
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)
        except KeyboardInterrupt:
            print("interrupted")
    """
    assert run(code, JAVA_HOME=str(jvm.find_jdk())).stdout == "interrupted\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_is_told_instead_of_hanging(tmp_path: Path) -> None:
    code = """
        import os, sys, numpy as np
        from hypserini.errors import JavaError
        from hypserini.index.reader import Index
        from hypserini.index.writer import IndexWriter
        with IndexWriter(sys.argv[1], dimension=2) as writer:
            writer.add(["a"], np.eye(2, dtype=np.float32)[:1])
        index = Index(sys.argv[1])
        child = os.fork()
        if child == 0:
            for call in (lambda: index.raw("a"), lambda: Index(sys.argv[1])):
                try:
                    call()
                    os._exit(1)
                except JavaError as error:
                    assert "spawn" in str(error)
            os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        print(index.num_vectors)
    """
    done = run(code, tmp_path / "index")
    assert done.stdout == "1\n", done.stderr


def test_many_threads_may_start_it_at_once() -> None:
    code = """
        from concurrent.futures import ThreadPoolExecutor
        from hypserini import jvm
        def version(_):
            try:
                return jvm.lucene_version()
            finally:
                jvm.detach()
        with ThreadPoolExecutor(8) as pool:
            print(len(set(pool.map(version, range(8)))))
    """
    assert run(code).stdout == "1\n"


@pytest.mark.parametrize(
    "strings", [[], [""], ["a", "", "é", "\N{GRINNING FACE}", "\0", "line\nline"], ["x" * 100_000]]
)
def test_strings_cross_whole(strings: list[str]) -> None:
    data = jvm.java_class("java.nio.ByteBuffer").wrap(jvm.pack(strings)).array().tostring()
    assert jvm.unpack(data) == strings


def test_half_a_surrogate_becomes_a_question_mark() -> None:
    data = jvm.java_class("java.nio.ByteBuffer").wrap(jvm.pack(["a\ud83d!"])).array().tostring()
    assert jvm.unpack(data) == ["a?!"]


def test_shared_memory_outlives_its_java_object_as_long_as_it_is_seen(tmp_path: Path) -> None:
    from hypserini.index.writer import IndexWriter

    with IndexWriter(tmp_path / "index", dimension=64) as writer:
        view = writer._shared
    del writer
    view[:] = 7
    gc.collect()
    for _ in range(3):
        jvm.java_class("java.lang.System").gc()
    assert (view == 7).all()
    assert view.dtype == np.float32


def test_threads_leave_the_jvm_when_they_end() -> None:
    jvm.start()
    threads = jvm.java_class("java.lang.Thread")
    before = threads.activeCount()
    for _ in range(5):
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(detached(jvm.lucene_version)).result()
    assert threads.activeCount() <= before


PACKAGE = Path(__file__).resolve().parents[2] / "hypserini"
READY = (ast.Name, ast.Constant, ast.BinOp, ast.operator, ast.expr_context)


def test_no_code_runs_between_the_look_up_of_a_java_method_and_its_call() -> None:
    """As `jvm.java_class` asks: pyjnius keeps the object in the method that all objects share."""
    calls = 0
    for file in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(file.read_text())
        called = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
        for node in ast.walk(tree):
            if not isinstance(node, ast.Attribute):
                continue
            owner = node.value
            name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
            if name not in ("java", "_java"):
                continue
            place = f"{file.name}, line {node.lineno}"
            call = called.get(id(node))
            assert call is not None, f"{place}: a method of a Java object is kept"
            for argument in [*call.args, *call.keywords]:
                assert all(isinstance(part, READY) for part in ast.walk(argument)), place
            calls += 1
    assert calls > 50


def test_threads_call_the_objects_that_they_mean(tmp_path: Path, monkeypatch) -> None:
    names = "ab"
    for name in names:
        with IndexWriter(tmp_path / name, dimension=2, vectors="flat") as writer:
            ids = [f"{name}{i}" for i in range(100)]
            vectors = np.arange(200, dtype=np.float32).reshape(100, 2) + ord(name)
            writer.add(ids, vectors, [f"word{i % 5}" for i in range(100)], ids)
    with ExitStack() as stack:
        indexes = {name: stack.enter_context(Index(tmp_path / name)) for name in names}
        bm25 = {name: stack.enter_context(Bm25(tmp_path / name)) for name in names}

        def work(number: int) -> int:
            name = names[number % 2]
            wrong = 0
            for i in range(50):
                hits = bm25[name].search(f"word{i % 5}", 5)
                wrong += [hit.docid[0] for hit in hits] != [name] * 5
                docid = f"{name}{i % 100}"
                wrong += indexes[name].raw(docid) != docid
                if i % 10 == 0:
                    with Scan(indexes[name], 1, 3, 64) as candidates:
                        while n := candidates.next():
                            candidates.accept(n, candidates.vectors[:n, :1].T)
                        docids, scores = candidates.hits(0)
                    wrong += docids != [f"{name}{i}" for i in (99, 98, 97)]
                    wrong += scores[0] != 198 + ord(name)
            return wrong

        pack = jvm.pack

        def slow_pack(*args: object, **kwargs: object) -> bytes:
            time.sleep(0.001)  # the other threads run here
            return pack(*args, **kwargs)

        monkeypatch.setattr(jvm, "pack", slow_pack)
        with ThreadPoolExecutor(4) as pool:
            assert sum(pool.map(detached(work), range(4))) == 0
