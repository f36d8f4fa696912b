"""A head for an index, trained on queries of its documents and the scores of a teacher."""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Sequence
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from hypserini.errors import TrainingError
from hypserini.index.reader import Index
from hypserini.index.stored_text import StoredTexts
from hypserini.search.searcher import LuceneHypencoderSearcher
from hypserini.train.adapt.material import About, Material
from hypserini.train.adapt.options import AdaptOptions
from hypserini.train.adapt.outcome import HEADING, Adapted, compare, section
from hypserini.train.adapt.pseudo_queries import PseudoQuery, pseudo_queries
from hypserini.train.adapt.recipe import configuration
from hypserini.train.data.examples import WholeExample, read_examples
from hypserini.train.mine.finders import Bm25Finder, Finder, QNetFinder
from hypserini.train.recipe.config import parse_config
from hypserini.train.teach.opening import open_teacher
from hypserini.train.teach.teacher import Teacher, check_held
from hypserini.train.trainer import train

logger = logging.getLogger(__name__)

FOLDER = "adaptation"
"""Within the model's folder: what it was trained and validated on."""

CARD = "README.md"

FEWEST = 20
"""Queries, with which there is something to learn and to validate."""

AT_ONCE = 256


def adapt(
    index: str,
    output: str,
    options: AdaptOptions | None = None,
    *,
    model: str | None = None,
    device: str = "auto",
    progress: bool = True,
    resume: bool = False,
    queries_of: str | None = None,
) -> Adapted:
    """Train a head for an index and write it into a folder, with what it was trained on.

    Args:
        index: With texts and vectors.
        output: The folder to make.
        options: How.
        model: The encoder that made the vectors, where the index does not say it.
        device: As `load_model` takes it.
        progress: Show progress bars.
        resume: Go on with what was begun in the folder, if it was: the queries and the teacher's
            scores are not made again, and training goes on from its last checkpoint.
        queries_of: The folder of another adaptation to the index, whose queries, candidates and
            teacher's scores are taken.

    Raises:
        TrainingError: The folder is not empty, or was begun otherwise, a nested size is none,
            there are too few queries, or none to be taken.
        IndexingError, ModelError: The index or the model cannot be opened.
    """
    options = options or AdaptOptions()
    folder = Path(output)
    if options.nested and max(options.nested) >= options.blocks:
        raise TrainingError(
            f"nested sizes are of fewer blocks than the q-net's {options.blocks}, and "
            f"{max(options.nested)} is not: give smaller --nested, or more --blocks."
        )
    material = Material(folder / FOLDER)
    begun = resume and material.config.exists()
    if begun:
        material.check(options)
        material.check_index(index)
        if is_whole(folder):
            raise TrainingError(f"{output} is trained to its end: leave --resume out.")
    else:
        if folder.exists() and (not folder.is_dir() or _holds_more(folder, resume)):
            raise TrainingError(
                f"{output} is there and not empty: choose another --output, or go on with what "
                "was begun there by --resume."
            )
        _prepare(index, material, options, model, device, progress, queries_of)
    config = json.loads(material.config.read_text(encoding="utf-8"))
    config["trainer_config"]["resume_from_checkpoint"] = begun
    config["trainer_config"]["hf_trainer_config"]["use_cpu"] = device == "cpu"
    train(parse_config(config, str(material.config)), progress=progress)
    found = compare(index, model, str(folder), material.test_examples(), device)
    with open(folder / CARD, "a", encoding="utf-8") as card:
        card.write(section(found, options, material.about()))
    return found


def is_whole(folder: Path) -> bool:
    """Whether an adaptation in a folder was carried to its end."""
    card = folder / CARD
    return card.exists() and HEADING in card.read_text(encoding="utf-8")


def _holds_more(folder: Path, resume: bool) -> bool:
    """Whether a folder holds anything that a new run would meet; none is a run that only began."""
    return any(path.name != FOLDER or not resume for path in folder.iterdir())


def _prepare(
    index: str,
    material: Material,
    options: AdaptOptions,
    model: str | None,
    device: str,
    progress: bool,
    queries_of: str | None,
) -> None:
    """Make the queries, their candidates and the teacher's scores, and write them into files."""
    with LuceneHypencoderSearcher(index, model, device=device) as searcher:
        dimension, unknown = searcher.index.dimension, searcher.metadata is None
        if queries_of is not None:
            other = Material(Path(queries_of) / FOLDER)
            trained = material.take_over(other, index, options)
            about = other.about()
        else:
            about, trained = _make(index, searcher, material, options, model, device, progress)
    named = model if unknown else None
    folder, work = material.folder.parent, material.folder
    config = configuration(index, named, dimension, folder, work, trained, options)
    material.write_about(about, options, config)


def _make(
    index: str,
    searcher: LuceneHypencoderSearcher,
    material: Material,
    options: AdaptOptions,
    model: str | None,
    device: str,
    progress: bool,
) -> tuple[About, int]:
    """Write the examples; what is told of them, and how many are trained on."""
    queries = _queries(index, options)
    held_out = min(options.held_out, len(queries) // 5)
    with (
        closing(Bm25Finder(index)) as bm25,
        closing(
            # Of one scale whatever the teacher: the divergence is from the softmax of its scores,
            # which of bare cosines would be flat, and of bare BM25 scores all in one document.
            open_teacher(
                options.teacher,
                index=index,
                weights=options.weights,
                device=device,
                model=model,
                standardised=True,
            )
        ) as teacher,
    ):
        about = About(teacher.name, searcher.encoder.model.name, len(queries), held_out)
        finders: list[Finder] = [bm25, QNetFinder(searcher)]
        examples = _examples(queries, finders, teacher, options, progress)
    return about, material.write_examples(examples, held_out, options)


def _queries(index: str, options: AdaptOptions) -> list[PseudoQuery]:
    with closing(Index(index)) as opened:
        if options.pairs is not None:
            return _given_queries(opened, options.pairs, options.queries)
        rng = random.Random(f"{options.seed} adapt")
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


def _given_queries(index: Index, path: str, most: int) -> list[PseudoQuery]:
    """Those of examples, in an order that no seed changes: the same are held out of every model."""
    examples = [example for _, example in read_examples(path, by_docid=True)]
    docids = check_held(index, [{"items": e["items"][:1]} for e in examples])
    asked = [e["query"]["content"] for e in examples]
    queries = [PseudoQuery(*pair) for pair in zip(docids, asked, strict=True)]
    if len(queries) < FEWEST:
        raise TrainingError(
            f"{path} holds {len(queries)} queries, and {FEWEST} are needed: give more."
        )
    random.Random("pairs").shuffle(queries)
    return queries[:most]


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
