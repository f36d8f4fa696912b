"""What the tests of training share: a tiny data set, tokenizer and configuration."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

TOPICS = ("apple pear plum", "train bus tram", "violin flute drum", "red green blue")


# The command, but that it is killed when it begins batch number argv[1].
KILLED = """
import os, signal, sys
from hypserini.train.__main__ import main
from hypserini.train.retrieval_trainer import RetrievalTrainer
left = int(sys.argv.pop(1))
step = RetrievalTrainer.training_step
def killing(*args, **kwargs):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(*args, **kwargs)
RetrievalTrainer.training_step = killing
sys.exit(main())
"""


# The command on one configuration after the other: to import torch takes longer than to train.
ONE_BY_ONE = """
import sys
from hypserini.train.__main__ import main
sys.exit(max(main([config]) for config in sys.argv[1:]))
"""


@pytest.fixture
def command() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the command on a configuration in a process, or in several with torchrun.

    With `killed_at` it gets SIGKILL when it begins that batch. With `one_by_one` the arguments are
    configurations, which one process trains in turn.
    """
    import torch

    # Sums are rounded differently by another number of threads.
    environment = os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())}

    def run(
        *arguments: object,
        killed_at: int | None = None,
        processes: int = 1,
        one_by_one: bool = False,
    ) -> subprocess.CompletedProcess[str]:
        launch = ["-m", "hypserini.train"]
        if one_by_one:
            launch = ["-c", ONE_BY_ONE]
        elif killed_at is not None:
            launch = ["-c", KILLED, str(killed_at)]
        elif processes > 1:
            launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]
            launch += [str(processes), "-m", "hypserini.train"]
        line = [sys.executable, *launch, *map(str, arguments)]
        done = subprocess.run(line, env=environment, capture_output=True, text=True)
        expected = 0 if killed_at is None else -signal.SIGKILL
        assert done.returncode == expected, done.stderr
        return done

    return run


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Queries and documents that share a topic's words, and two negatives, to draw one of."""
    lines = []
    for n in range(64):
        words = TOPICS[n % 4].split()
        other = TOPICS[(n + 1) % 4]
        items = [
            {"content": f"{words[1]} and {words[2]} number {n}", "score": 3.0, "type": "positive"},
            {"content": f"{other} number {n}", "score": 1.0, "type": "negative"},
            {"content": f"{other} {words[0]}", "score": 1.5, "type": "negative"},
        ]
        query = {"id": str(n), "content": f"{words[0]} {words[1]}"}
        lines.append(json.dumps({"query": query, "items": items}))
    path = tmp_path / "train.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    from hypserini.demo.tokenizer import train_wordpiece

    folder = tmp_path / "tokenizer"
    texts = [f"{topic} and number 0 1 2 3 4 5 6 7 8 9" for topic in TOPICS]
    train_wordpiece(texts * 4, 200, max_length=32).save_pretrained(folder)
    return folder


@pytest.fixture
def beir(tmp_path: Path) -> Path:
    """A BEIR folder whose 4 queries have 3 relevant documents each, of 12."""
    folder = tmp_path / "beir"
    (folder / "qrels").mkdir(parents=True)
    corpus, qrels = [], ["query-id\tcorpus-id\tscore"]
    for n, topic in enumerate(TOPICS):
        for m, word in enumerate(topic.split()):
            corpus.append(json.dumps({"_id": f"d{n}{m}", "title": word, "text": f"number {m}"}))
            qrels.append(f"q{n}\td{n}{m}\t1")
    queries = [json.dumps({"_id": f"q{n}", "text": topic}) for n, topic in enumerate(TOPICS)]
    (folder / "corpus.jsonl").write_text("\n".join(corpus) + "\n")
    (folder / "queries.jsonl").write_text("\n".join(queries) + "\n")
    (folder / "qrels" / "dev.tsv").write_text("\n".join(qrels) + "\n")
    return folder


@pytest.fixture
def settings(data: Path, tokenizer: Path, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Makes a configuration of a tiny model; further arguments go to model_config."""

    def make(output: str = "out", **model: Any) -> dict[str, Any]:
        base = {"model_type": "bert", "vocab_size": 200, "hidden_size": 16, "num_hidden_layers": 1}
        base |= {"num_attention_heads": 2, "intermediate_size": 32, "max_position_embeddings": 32}
        return {
            "model_config": {
                "tokenizer_pretrained_model_name_or_path": str(tokenizer),
                "base_config": base,
                "query_encoder_kwargs": {
                    "converter_kwargs": {
                        "vector_dimensions": [16, 16, 1],
                        "do_residual_on_last": True,
                    }
                },
                "passage_encoder_kwargs": {"pooling_type": "mean"},
                "head_initialization": "bi-encoder",
                "loss_type": ["cross_entropy"],
                **model,
            },
            "data_config": {"training_data_jsonl": str(data), "num_negatives_to_sample": 1},
            "trainer_config": {
                "hf_trainer_config": {
                    "output_dir": str(tmp_path / output),
                    "per_device_train_batch_size": 8,
                    "learning_rate": 5e-3,
                    "max_steps": 30,
                    "logging_steps": 1,
                    "save_strategy": "no",
                    "use_cpu": True,
                    "seed": 5,
                }
            },
        }

    return make
