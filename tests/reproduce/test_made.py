"""The collection of paraphrases: the same everywhere, in BEIR's format."""

from __future__ import annotations

import hashlib

from hypserini.formats.qrels import read_qrels
from hypserini.formats.topics import read_topics
from hypserini.reproduce.made import write_paraphrases


def test_it_is_the_same_everywhere(tmp_path):
    assert write_paraphrases(tmp_path) == 256
    topics = dict(read_topics(tmp_path / "queries.jsonl"))
    qrels = read_qrels(tmp_path / "qrels" / "test.tsv")
    assert topics["q-remove-table"] == "how do I remove a table"
    assert qrels["q-remove-table"] == {"remove-table": 1}
    assert topics.keys() == qrels.keys()
    text = (tmp_path / "corpus.jsonl").read_bytes()
    # Whoever changes the words runs the offline rows anew and writes down their figures.
    assert hashlib.sha256(text).hexdigest()[:16] == "bfd40a74f2dc0123"
