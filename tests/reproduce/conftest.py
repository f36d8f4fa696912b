"""Commands in this process instead of one each, and small folders to run them on."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from importlib import import_module
from pathlib import Path

import pytest

from hypserini.reproduce import commands


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Run what `commands.run` is given by the modules' own `main`; returns what was run."""
    ran: list[str] = []

    def run(command: Sequence[str], *, capture: bool = False) -> str:
        ran.append(commands.written(command))
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            status = import_module(f"{command[0]}.__main__").main(list(command[1:]))
        if status:
            raise commands.CommandFailed(commands._sentence(err.getvalue(), command, status))
        return out.getvalue()

    monkeypatch.setattr(commands, "run", run)
    return ran


@pytest.fixture
def beir(tmp_path: Path, collection: Path, topics: dict[str, str]) -> Path:
    """The made collection as a BEIR folder; six of its queries are judged."""
    folder = tmp_path / "made-beir"
    (folder / "qrels").mkdir(parents=True)
    documents = [json.loads(line) for line in collection.read_text().splitlines()]
    lines = [json.dumps({"_id": d["id"], "title": "", "text": d["contents"]}) for d in documents]
    (folder / "corpus.jsonl").write_text("\n".join(lines) + "\n")
    queries = [json.dumps({"_id": qid, "text": text}) for qid, text in topics.items()]
    (folder / "queries.jsonl").write_text("\n".join(queries) + "\n")
    judged = "".join(
        f"{qid}\t{document['id']}\t1\n" for qid in list(topics)[:6] for document in documents[::9]
    )
    (folder / "qrels" / "test.tsv").write_text(f"query-id\tcorpus-id\tscore\n{judged}")
    return folder


@pytest.fixture
def followir(tmp_path: Path, collection: Path, topics: dict[str, str]) -> Path:
    """The made collection as a folder of FollowIR: three queries, forty documents each."""
    folder = tmp_path / "made-followir"
    documents = [json.loads(line) for line in collection.read_text().splitlines()]
    qids, docids = list(topics)[:3], [document["id"] for document in documents[:40]]
    pairs = [(qid, docid) for qid in qids for docid in docids]
    objects = {
        "corpus.jsonl": [{"_id": d["id"], "title": "", "text": d["contents"]} for d in documents],
        "queries.jsonl": [
            {"_id": qid, "text": topics[qid], "instruction_og": "with a graph"}
            | {"instruction_changed": "with a table and not with a graph"}
            for qid in qids
        ],
        "top_ranked.jsonl": [{"qid": qid, "pid": docid} for qid, docid in pairs],
        "qrels_og/test.jsonl": [
            {"query-id": qid, "corpus-id": docid, "score": float(docid < "doc0010")}
            for qid, docid in pairs
        ],
        "qrels_changed/test.jsonl": [
            {"query-id": qid, "corpus-id": docid, "score": float(docid < "doc0005")}
            for qid, docid in pairs
        ],
    }
    for name, rows in objects.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder
