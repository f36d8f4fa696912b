"""BEIR folders: positives are what the judgements call relevant, negatives are drawn at random."""

from __future__ import annotations

import random
from array import array
from pathlib import Path

from hypserini.errors import TrainingError
from hypserini.formats.beir import beir_file
from hypserini.formats.qrels import read_judgements, read_qrels
from hypserini.formats.values import Malformed
from hypserini.train.data.examples import Example, Item
from hypserini.train.data.selection import Selection
from hypserini.train.data.text_store import TextStore, key_of


class BeirFolder:
    """One example for each relevant document of each query, with negatives from the whole corpus.

    None of a query's negatives is relevant to it. Memory holds no texts.

    Args:
        folder: with corpus.jsonl, queries.jsonl and qrels/<split>.tsv.
        split: whose judgements are trained on.
        selection: how many negatives are drawn; there is one positive and no score.

    Raises:
        TrainingError: a file is missing or malformed, an id of the judgements has no text, or
            nothing is relevant; names file and line.
        RunError: the judgements are malformed.
    """

    def __init__(self, folder: str | Path, split: str, selection: Selection) -> None:
        qrels = beir_file(folder, f"qrels/{split}.tsv")
        self.negatives = selection.negatives
        relevant = {
            qid: [docid for docid, grade in grades.items() if grade > 0]
            for qid, grades in read_qrels(qrels).items()
        }
        relevant = {qid: docids for qid, docids in relevant.items() if docids}
        if not relevant:
            raise TrainingError(f"{qrels}: no document is relevant, so there are no positives.")
        try:
            negatives = [Item("", None, "negative")] * selection.negatives
            selection.check([Item("", None, "positive"), *negatives])
        except Malformed as error:
            raise TrainingError(
                f"{qrels} gives one positive an example, and no scores: {error}"
            ) from error
        self.queries = TextStore(beir_file(folder, "queries.jsonl"), queries=True)
        self.corpus = TextStore(beir_file(folder, "corpus.jsonl"))
        # The relevant documents of query n are those from _starts[n] to _starts[n + 1].
        self._starts: array[int] = array("q", [0])
        self._documents: array[int] = array("q")
        for docids in relevant.values():
            self._documents.extend(self.corpus.find([key_of(docid) for docid in docids]).tolist())
            self._starts.append(len(self._documents))
        self._queries = array("q", self.queries.find([key_of(qid) for qid in relevant]).tolist())
        if min(self._queries) < 0 or min(self._documents) < 0:
            raise self._dangling(qrels)
        self._owners = array("q", [n for n, docids in enumerate(relevant.values()) for _ in docids])
        most = max(len(docids) for docids in relevant.values())
        if len(self.corpus) < most + self.negatives:
            raise TrainingError(
                f"{self.corpus.path} holds {len(self.corpus)} documents, too few for {most} "
                f"relevant ones and num_negatives_to_sample: {self.negatives}."
            )

    def __len__(self) -> int:
        return len(self._documents)

    def read(self, position: int, rng: random.Random) -> Example:
        """The example of a judgement, with as many negatives as will be needed."""
        owner = self._owners[position]
        used = set(self._documents[self._starts[owner] : self._starts[owner + 1]])
        items = [Item(self.corpus.text(self._documents[position]), None, "positive")]
        while len(items) <= self.negatives:
            number = rng.randrange(len(self.corpus))
            if number not in used:
                used.add(number)
                items.append(Item(self.corpus.text(number), None, "negative"))
        return Example(self.queries.text(self._queries[owner]), tuple(items))

    def _dangling(self, qrels: Path) -> TrainingError:
        """What is wrong with the first judgement of an id that has no text."""
        for line, qid, docid, grade in read_judgements(qrels):
            if grade <= 0:
                continue
            for store, identity in ((self.queries, qid), (self.corpus, docid)):
                if store.find([key_of(identity)])[0] < 0:
                    return TrainingError(
                        f"{qrels}, line {line}: {store.path} has no id {identity!r}: mend it, or "
                        "take the line out."
                    )
        raise AssertionError("all ids have texts")
