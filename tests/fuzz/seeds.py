"""Valid files of every kind, from which strange ones are made."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

import numpy as np

TOPICS = (
    b"1\tfirst query\n2\tzweite Anfrage: f\xc3\xbcr\n",
    b'qid\tquery\tnarrative\n1\tfirst\tlong\n2\t"a ""b"""\t\n',
    b"1:first query\n2:second: query\n",
    b"<top>\n<num> Number: 301\n<title> Organized Crime\n\n<desc> Description:\nwho\n</top>\n"
    b"<top><num>T12</num><title>two</title></top>\n",
    b'<?xml version="1.0"?>\n<topics><topic number="1"><query>a &amp; b</query>'
    b"<question>what?</question></topic>\n<topic number='2'><query>c</query></topic></topics>",
    b'{"qid": "1", "title": "a", "text": "b"}\n{"qid": 2, "title": "", "text": "b"}\n',
    b'[{"_id": "1", "text": "a"}, {"_id": "2", "text": "b"}]',
    b'{"1": "a", "2": {"title": "b"}}',
)
RUNS = (
    b"1 Q0 d1 1 2.5 t\n1 Q0 d2 2 2.25 t\n2 Q0 d1 1 -3 t\n",
    b"1\td1\t1\n1\td2\t2\n2\td1\t1\n",
    b"1\td1\t9.5\n1\td2\t0.25\n2\td1\t84.21\n",
    b"qid\tdocno\trank\tscore\n1\td1\t1\t2.5\n1\td2\t2\t2.0\n",
    b'{"qid": "1", "query": "q", "hits": [{"docid": "d1", "rank": 1, "score": 2.5}]}\n',
)
CORPUS = b'{"_id": "1", "text": "a"}\n{"_id": "2", "text": "b"}\n{"_id": "3", "text": "c"}\n'
QRELS = (
    b"1 0 d1 1\n1 0 d2 -1\n2 Q0 d1 3\n",
    b"query-id\tcorpus-id\tscore\n1\t2\t1\n2\t3\t0\n3\t1\t1\n",
)
DOCUMENTS = (
    b'{"id": "a1", "contents": "na\xc3\xafve"}\n{"id": 2, "contents": "", "text": "x"}\n',
    b'{"_id": "x", "title": "T", "text": "\\ud83d\\ude00"}\n\n{"_id": "y", "text": "z", "m": {}}',
    b'{"pid": "m_0", "docid": "m", "text": "p"}\r\n{"pid": "m_1", "docid": "m", "text": "q"}',
)
ARRAYS = (
    b'[{"id": "1", "contents": "a"},\n {"id": "2", "contents": "b", "x": [1, {"y": null}]}]\n',
    b'{\n "id": "1",\n "contents": "a"\n}\n',
)
NAMED = (
    b'{"id": "1", "title": "a"}\n{"id": "2", "body": "b", "title": ""}\n',
    b"docid\ttitle\turl\tbody\nd1\ta\tb\tc\nd2\t\t\tx\n",
)
TABLES = (
    b"0\tThe first passage.\n1\t\n2\tThird\twith a tab\n",
    b'id\ttext\ttitle\n1\t"Aaron ""x"" is"\tAaron\n2\tplain\t"A\tB"\n',
)
VECTOR_LINES = (
    b'{"id": "a", "contents": "x", "vector": [1, 2.5]}\n{"docid": "b", "vector": [3, 4e-3]}\n',
)
EXAMPLES = (
    b'{"query": {"id": "1", "content": "q"}, "items": [{"id": "a", "content": "x", "score": 2.5, '
    b'"type": "positive"}, {"content": "y", "score": -1}]}\n'
    b'{"query": {"content": "r"}, "items": [{"content": "z", "score": 1}, {"content": "", '
    b'"score": 0}]}\n',
)
CONFIGS = (
    b"model_config:\n  model_type: hypencoder\n  loss_type: [margin_mse, cross_entropy]\n"
    b"  loss_kwargs: [{}, {only_use_first_item: true}]\n  normalize: false\n"
    b"data_config:\n  training_data_jsonl: [a.jsonl, b.jsonl]\n  positive_filter_type: type\n"
    b"  positive_filter_kwargs: {positive_type: x}\n  num_negatives_to_sample: 7\n"
    b"trainer_config:\n  hf_trainer_config: {output_dir: out, learning_rate: 2.0e-05}\n"
    b"  validation: {beir: folder, max_queries: 5}\n  early_stopping_patience: 3\n",
    b"model_config:\n  query_encoder_kwargs: &b {x: &a [1, 2], y: *a}\n"
    b"  passage_encoder_kwargs: *b\n"
    b"data_config: {training_beir: folder}\n",
)
CONFIGS_IN_JSON = (
    b'{"model_config": {"model_type": "biencoder", "loss_type": ["a"], "loss_kwargs": [{}], '
    b'"base_config": {"x": 1}, "query_encoder_kwargs": {"converter_kwargs": {"y": [8, 1]}}}, '
    b'"data_config": {"training_triples": "t", "training_collection": "c", "training_queries": '
    b'"q", "triples_columns": ["query", "positive"], "positive_filter_type": "score_above", '
    b'"positive_filter_kwargs": {"score_threshold": 1}, "query_max_length": 32}, '
    b'"trainer_config": {"resume_from_checkpoint": true, "learning_rate_factors": {"a": 1}, '
    b'"validation": {"queries": "q", "measures": ["nDCG@10"], "batch_size": 4}}}',
)
JSON_WORDS = ("id", "_id", "docid", "title", "text", "contents", "vector", "raw")


def _npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


ROWS = np.arange(6, dtype=np.float32).reshape(3, 2)
ARRAYS_OF_NUMBERS = tuple(
    map(_npy, (ROWS, ROWS.astype(">f8"), np.asfortranarray(ROWS, np.float16)))
)
NAMES = ("docids.txt", b"a\nb\nc\n")
TEXTS_BESIDE = (b'{"id": "a", "contents": "x", "raw": "{}"}\n{"contents": "y", "raw": null}\n{}\n',)
MANIFESTS = (
    b'{"format": "npy", "model": "m", "fingerprint": "f", "dimension": 2, "pooling": "cls", '
    b'"max_length": 8, "collection": "c", "shard_id": 0, "shard_num": 1}',
)


def faiss_indexes() -> tuple[bytes, ...]:
    """A flat index, one with a graph, and one with ids."""
    import faiss

    flat, graph = faiss.IndexFlatIP(2), faiss.IndexHNSWFlat(2, 4)
    ids = faiss.IndexIDMap(faiss.IndexFlatL2(2))
    flat.add(ROWS)
    graph.add(ROWS)
    ids.add_with_ids(ROWS, np.array([2, 0, 1]))
    return tuple(faiss.serialize_index(index).tobytes() for index in (flat, graph, ids))


def parquet() -> bytes:
    """Two vectors, one with a text."""
    import pyarrow
    import pyarrow.parquet

    columns = {"docid": ["a", "b"], "vector": [[1.0, 2], [3, 4]], "contents": ["x", None]}
    file = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns), file, compression="none")
    return file.getvalue()


def q_nets() -> list[tuple[str, bytes]]:
    """The files of a folder of two q-nets, the list first."""
    import torch

    from hypserini.encode import save_q_nets
    from hypserini.modeling import QNet, QNetConfig

    parts = QNetConfig((2, 2, 1)), [torch.ones(2, 2, 2), torch.ones(2, 2, 1)], [torch.ones(2, 2)]
    with tempfile.TemporaryDirectory() as folder:
        save_q_nets(Path(folder) / "q", ["1", "2"], [QNet(*parts)], {"model": "m"})
        made = [(path.name, path.read_bytes()) for path in (Path(folder) / "q").iterdir()]
    return sorted(made, key=lambda file: not file[0].endswith(".json"))
