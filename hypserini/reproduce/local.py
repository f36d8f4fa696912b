"""Rows for folders that the user has: BEIR's form, and FollowIR's."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from hypserini.formats.beir import beir_file
from hypserini.formats.followir import corpus_of
from hypserini.formats.names import part_of_a_name
from hypserini.formats.output import atomic_output, check_writable
from hypserini.formats.qrels import read_qrels
from hypserini.formats.topics import read_topics
from hypserini.reproduce.matrix import Collection, Matrix, ReproduceError, Row, Task

TABLE = "given"
TITLE = "Folders given"
MEASURES = ("nDCG@10", "R@100")
FOLLOWIR_MEASURES = ("AP", "nDCG@5", "p-MRR")


def add_beir(matrix: Matrix, folder: str, split: str, model: str) -> Row:
    """Add the row of a folder in BEIR's form.

    Raises:
        CollectionError: it lacks one of BEIR's files.
    """
    beir_file(folder, "queries.jsonl")
    beir_file(folder, f"qrels/{split}.tsv")
    collection = Collection(
        collection=str(beir_file(folder, "corpus.jsonl")),
        make=(("hypserini.reproduce", "--beir", folder, "--split", split, "--write", "{folder}"),),
        product="{folder}/qrels.txt",
    )
    task = Task("", "{folder}/topics.tsv", "{folder}/qrels.txt", MEASURES)
    return _add(matrix, f"beir-{_name(folder)}-{split}", collection, task, model, "exhaustive")


def add_followir(matrix: Matrix, folder: str, model: str) -> Row:
    """Add the row of a folder of FollowIR.

    Raises:
        CollectionError: it lacks the documents.
    """
    collection = Collection(
        collection=str(corpus_of(folder)),
        make=(("hypserini.reproduce", "--followir", folder, "--write", "{folder}"),),
        product="{folder}/candidates.txt",
    )
    task = Task(
        collection="",
        topics="{folder}/topics.og.tsv",
        qrels="{folder}/qrels.og.txt",
        measures=FOLLOWIR_MEASURES,
        search=("--max-length", "512", "--rerank-run", "{folder}/candidates.txt"),
        changed_topics="{folder}/topics.changed.tsv",
        changed_qrels="{folder}/qrels.changed.txt",
    )
    return _add(matrix, f"followir-{_name(folder)}", collection, task, model, "rerank")


def write_beir(source: str, split: str, target: Path) -> None:
    """Write a BEIR folder's judgements, and of its queries those that are judged.

    Raises:
        CollectionError, TopicsError, RunError: a file is missing or malformed.
        ReproduceError: no query is judged.
    """
    judgements = read_qrels(beir_file(source, f"qrels/{split}.tsv"))
    queries = beir_file(source, "queries.jsonl")
    judged = [(qid, text) for qid, text in read_topics(queries) if qid in judgements]
    if not judged:
        raise ReproduceError(f"no query of {queries} is judged in qrels/{split}.tsv beside it.")
    check_writable(target / "qrels.txt")  # makes the folder
    with atomic_output(target / "topics.tsv") as file:
        file.writelines(f"{qid}\t{text}\n" for qid, text in judged)
    with atomic_output(target / "qrels.txt") as file:  # last: with it the folder is complete
        for qid, grades in judgements.items():
            file.writelines(f"{qid} 0 {docid} {grade}\n" for docid, grade in grades.items())


def _add(
    matrix: Matrix, name: str, collection: Collection, task: Task, model: str, search: str
) -> Row:
    if name in matrix.rows:
        raise ReproduceError(f"two folders make the row {name}: rename one of them.")
    matrix.titles[TABLE] = TITLE
    matrix.collections[name] = collection
    matrix.tasks[name] = replace(task, collection=name)
    matrix.rows[name] = Row(name=name, table=TABLE, task=name, model=model, search=search)
    return matrix.rows[name]


def _name(folder: str) -> str:
    """What a folder is called within the names of rows and indexes."""
    return part_of_a_name(Path(os.path.abspath(folder)).name or "root")
