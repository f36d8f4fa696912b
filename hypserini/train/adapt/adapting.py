"""A head for an index, trained on queries made of its texts and the scores of a teacher."""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from hypserini.errors import TrainingError
from hypserini.formats.output import atomic_output
from hypserini.index.reader import Index
from hypserini.index.stored_text import StoredTexts
from hypserini.search.searcher import LuceneHypencoderSearcher
from hypserini.train.adapt.pseudo_queries import PseudoQuery, pseudo_queries
from hypserini.train.data.examples import WholeExample, format_example
from hypserini.train.mine.finders import Bm25Finder, Finder, QNetFinder
from hypserini.train.recipe.config import parse_config
from hypserini.train.teach.agreement import Agreement, agreement
from hypserini.train.teach.teachers import EncoderTeacher, Teacher, open_teacher
from hypserini.train.trainer import train

logger = logging.getLogger(__name__)

FOLDER = "adaptation"
"""Within the model's folder: what it was trained and validated on."""

FEWEST = 20
"""Queries, with which there is something to learn and to validate."""

AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class AdaptOptions:
    """How a head is adapted.

    Attributes:
        queries: How many are made, those to validate on among them.
        held_out: How many of them are to validate on, at most a fifth.
        candidates: Documents of each query from BM25, and as many from the encoder.
        negatives: Of these so many are drawn in each step.
        teacher: As `open_teacher` takes them.
        weights: Of several teachers.
        blocks: Hidden blocks of the q-net.
        tune: Tune the query encoder as well.
        epochs: How often the queries are gone through.
        batch_size: Queries a step.
        learning_rate: Of the head; a tuned encoder learns at a tenth of it.
        temperature: The q-net's scores are divided by it where they are compared with the
            teacher's: cosines lie close together.
        seed: Of all that is drawn.
    """

    queries: int = 10_000
    held_out: int = 500
    candidates: int = 30
    negatives: int = 15
    teacher: tuple[str, ...] = ("bm25", "encoder")
    weights: tuple[float, ...] | None = None
    blocks: int = 2
    tune: bool = True
    epochs: float = 3.0
    batch_size: int = 32
    learning_rate: float = 2e-4
    temperature: float = 0.05
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Adapted:
    """What came of it, on the queries held out.

    Attributes:
        figures: nDCG@10 of the query's own document, of `encoder` and of `head`.
        agreement: With the teacher, over the candidates, of both.
    """

    figures: dict[str, float]
    agreement: dict[str, Agreement]


def adapt(
    index: str,
    output: str,
    options: AdaptOptions | None = None,
    *,
    model: str | None = None,
    device: str = "auto",
    progress: bool = True,
) -> Adapted:
    """Train a head for an index and write it into a folder, with what it was trained on.

    Args:
        index: With texts and vectors.
        output: The folder to make.
        options: How.
        model: The encoder that made the vectors, where the index does not say it.
        device: As `load_model` takes it.
        progress: Show progress bars.

    Raises:
        TrainingError: The folder is not empty, or the index holds too few texts.
        IndexingError, ModelError: The index or the model cannot be opened.
    """
    options = options or AdaptOptions()
    folder = Path(output)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise TrainingError(f"{output} is there and not empty: choose another --output.")
    queries = _make_queries(index, options)
    held_out = min(options.held_out, len(queries) // 5)
    teacher = open_teacher(
        options.teacher, index=index, weights=options.weights, device=device, model=model
    )
    searcher = LuceneHypencoderSearcher(index, model, device=device)
    with closing(Bm25Finder(index)) as bm25, closing(QNetFinder(searcher)) as encoder:
        name = searcher.encoder.model.name
        examples = _examples(queries, [bm25, encoder], teacher, options, progress)
    work = folder / FOLDER
    _write(work, queries[:held_out], examples, held_out, options)
    config = _config(index, model if searcher.metadata is None else None, folder, work, options)
    arguments = config["trainer_config"]["hf_trainer_config"]
    arguments["use_cpu"] = device == "cpu"
    with atomic_output(work / "config.yaml") as file:  # for `hypserini.train --resume`
        file.write(json.dumps(config, indent=1) + "\n")
    train(parse_config(config, str(work / "config.yaml")), progress=progress)
    found = _compare(index, model, str(folder), examples[:held_out], device)
    with open(folder / "README.md", "a", encoding="utf-8") as card:
        card.write(_section(found, options, teacher, name, len(queries), held_out))
    return found


def _make_queries(index: str, options: AdaptOptions) -> list[PseudoQuery]:
    rng = random.Random(f"{options.seed} adapt")
    with closing(Index(index)) as opened:
        docids = list(opened.docids())
        queries = list(pseudo_queries(StoredTexts(opened), docids, options.queries, rng))
    if len(queries) < FEWEST:
        raise TrainingError(
            f"of the {len(docids):,} documents of {index} only {len(queries)} queries can be made, "
            f"and {FEWEST} are needed: adapt to a larger collection."
        )
    logger.info("%s queries of %s documents.", f"{len(queries):,}", f"{len(docids):,}")
    rng.shuffle(queries)
    return queries


def _examples(
    queries: Sequence[PseudoQuery],
    finders: Sequence[Finder],
    teacher: Teacher,
    options: AdaptOptions,
    progress: bool,
) -> list[WholeExample]:
    """The queries with their candidates, their own document first, scored by the teacher."""
    examples: list[WholeExample] = []
    with tqdm(total=len(queries), desc="candidates", unit=" queries", disable=not progress) as bar:
        for start in range(0, len(queries), AT_ONCE):
            part = queries[start : start + AT_ONCE]
            texts = [query.text for query in part]
            found = [finder.find(texts, options.candidates) for finder in finders]
            chunk: list[WholeExample] = []
            for number, query in enumerate(part):
                hits = (hit.docid for each in found for hit in each[number])
                docids = dict.fromkeys([query.docid, *hits])
                chunk.append(
                    {
                        "query": {"id": str(start + number), "content": query.text},
                        "items": [{"id": docid} for docid in docids],
                    }
                )
            scores = teacher.score(chunk)
            ends = np.cumsum([0, *(len(e["items"]) for e in chunk)])
            for example, (first, end) in zip(chunk, pairwise(ends), strict=True):
                for item, score in zip(example["items"], scores[first:end], strict=True):
                    item["score"] = float(score)
            examples += chunk
            bar.update(len(part))
    return examples


def _write(
    work: Path,
    validation: Sequence[PseudoQuery],
    examples: Sequence[WholeExample],
    held_out: int,
    options: AdaptOptions,
) -> None:
    """Write what is trained and validated on."""
    train_on = [e for e in examples[held_out:] if len(e["items"]) > options.negatives]
    if not train_on:
        raise TrainingError(
            f"no query has more than {options.negatives} candidates: give fewer --negatives."
        )
    work.mkdir(parents=True, exist_ok=True)
    files: dict[str, Callable[[], Any]] = {
        "train.jsonl": lambda: map(format_example, train_on),
        "topics.tsv": lambda: (f"{n}\t{query.text}\n" for n, query in enumerate(validation)),
        "qrels.txt": lambda: (f"{n} 0 {query.docid} 1\n" for n, query in enumerate(validation)),
        "options.json": lambda: [json.dumps(asdict(options), indent=1) + "\n"],
    }
    for name, lines in files.items():
        with atomic_output(work / name) as file:
            file.writelines(lines())


def _config(
    index: str, model: str | None, folder: Path, work: Path, options: AdaptOptions
) -> dict[str, Any]:
    """The training configuration."""
    with closing(Index(index)) as opened:
        dimension = opened.dimension
    q_net = {"vector_dimensions": [dimension] * (options.blocks + 1) + [1]}
    steps = max(10, -(-len(_lines(work / "train.jsonl")) // options.batch_size))
    arguments: dict[str, Any] = {
        "output_dir": str(folder),
        "seed": options.seed,
        "num_train_epochs": options.epochs,
        "per_device_train_batch_size": options.batch_size,
        "learning_rate": options.learning_rate,
        "lr_scheduler_type": "linear",
        "warmup_steps": steps // 5,
        "weight_decay": 0.0,
        "logging_steps": max(1, steps // 10),
        "eval_strategy": "steps",
        "eval_steps": max(1, steps // 2),
        "save_strategy": "steps",
        "save_steps": max(1, steps // 2),
        "save_total_limit": 1,
        "load_best_model_at_end": True,
        "report_to": "none",
    }
    return {
        "model_config": {
            "passage_vectors": {"index": index, "model": model},
            "query_encoder_kwargs": {
                "freeze_transformer": not options.tune,
                "converter_kwargs": {**q_net, "add_query_vector": True},
            },
            "loss_type": ["kl_divergence"],
            "loss_kwargs": [{"temperature": options.temperature}],
        },
        "data_config": {
            "training_data_jsonl": str(work / "train.jsonl"),
            "num_negatives_to_sample": options.negatives,
            "query_max_length": 64,
        },
        "trainer_config": {
            "validation": {
                "queries": str(work / "topics.tsv"),
                "qrels": str(work / "qrels.txt"),
                "max_documents": 100_000,
            },
            "learning_rate_factors": {
                # The hidden blocks end in a layer norm, of a length of sqrt(width), and cosines
                # differ by tenths: output weights that learnt as fast as the rest would drown them.
                rf"weight_hyper_projection\.{options.blocks}\.": 1e-3,
                rf"hyper_base_matrices\.{options.blocks}$": 0.05,
                **({r"\.transformer\.": 0.1} if options.tune else {}),
            },
            "hf_trainer_config": arguments,
        },
    }


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def _compare(
    index: str, model: str | None, head: str, examples: Sequence[WholeExample], device: str
) -> Adapted:
    """Measure encoder and head on the queries held out."""
    taught = np.asarray([item["score"] for e in examples for item in e["items"]], np.float32)
    texts = [e["query"]["content"] for e in examples]
    own = [e["items"][0]["id"] for e in examples]
    figures, agreements = {}, {}
    for name, searching in (("encoder", model), ("head", head)):
        with closing(EncoderTeacher(index, searching, device, "float32")) as scorer:
            scores = scorer.score(examples)
        agreements[name] = agreement(examples, taught, scores)
        with LuceneHypencoderSearcher(index, searching, device=device) as searcher:
            found = searcher.batch_search(texts, [str(n) for n in range(len(texts))], 10)
        gains = [
            1 / np.log2(rank + 1)
            for n, docid in enumerate(own)
            for rank, hit in enumerate(found[str(n)], start=1)
            if hit.docid == docid
        ]
        figures[name] = float(sum(gains) / len(texts))
    return Adapted(figures, agreements)


def _section(
    found: Adapted, options: AdaptOptions, teacher: Teacher, encoder: str, made: int, held_out: int
) -> str:
    """What the card says of it."""
    rows = [
        f"| {words} | {found.figures[name]:.4f} | {found.agreement[name].correlation:.3f} | "
        f"{found.agreement[name].overlap:.3f} |"
        for name, words in (("encoder", f"{encoder}, dot product"), ("head", "this head"))
    ]
    return (
        f"\n## Adaptation\n\nMade without labels: {made:,} queries cut out of the collection's own "
        f"texts, each with up to {2 * options.candidates} candidates from BM25 and from the "
        f"encoder, scored by {teacher.name}. On {held_out} of the queries that were held out, the "
        "query's own document is found with nDCG@10, and the candidates are ranked as the teacher "
        "ranks them with Kendall's tau and the overlap of the best ten:\n\n"
        "| | nDCG@10 | tau | overlap@10 |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"
    )
