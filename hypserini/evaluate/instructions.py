"""p-MRR: how far a ranking follows an instruction that was changed (FollowIR, arXiv 2403.15246)."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from hypserini.errors import RunError, named
from hypserini.evaluate.measures import ranked
from hypserini.formats.qrels import Qrels
from hypserini.formats.runs import Run

logger = logging.getLogger(__name__)

Judgements = Mapping[str, Mapping[str, int]]


def no_longer_relevant(original: Judgements, changed: Judgements) -> dict[str, list[str]]:
    """Return the documents that the change made irrelevant: topic id -> document ids.

    FollowIR's annotators narrowed each instruction, so that some relevant documents are relevant no
    more. A document that is not judged under the changed instruction counts as not relevant, as it
    does everywhere in trec_eval.

    Args:
        original: judgements under the original instruction.
        changed: judgements under the changed one.
    """
    lost = {
        qid: [
            docid
            for docid, grade in grades.items()
            if grade > 0 and changed[qid].get(docid, 0) <= 0
        ]
        for qid, grades in original.items()
        if qid in changed
    }
    return {qid: docids for qid, docids in lost.items() if docids}


def p_mrr(
    original_qrels: Qrels | Judgements,
    changed_qrels: Qrels | Judgements,
    original_run: Run | Mapping[str, Mapping[str, float]],
    changed_run: Run | Mapping[str, Mapping[str, float]],
) -> dict[str, float]:
    """Return p-MRR topic by topic, from -100 to 100, as the papers print it.

    With R the rank of a document that is no longer relevant, under the original and under the
    changed instruction, and MRR = 1 / R (equation 1 of the paper):

        p-MRR = MRR_original / MRR_changed - 1    if R_original > R_changed (it rose: wrong)
                1 - MRR_changed / MRR_original    otherwise (it fell, or stays: 0)

    the mean over a topic's documents, and then over topics. A document that a ranking lacks has the
    rank after its last. Documents are ranked as trec_eval ranks them.

    Args:
        original_qrels: judgements under the original instruction.
        changed_qrels: judgements under the changed one, of the same topic ids.
        original_run: topic id -> (document id, score), of the queries with the original one.
        changed_run: the same with the changed one.

    Returns:
        topic id -> value, of each topic with a changed document that both runs hold; the others are
        logged.

    Raises:
        RunError: there is no such topic.
    """
    before, after = _judgements(original_qrels), _judgements(changed_qrels)
    lost = no_longer_relevant(before, after)
    if not lost:
        raise RunError(
            "no document that is relevant in the original qrels is irrelevant in the changed ones "
            f"(topics {named(before, 3)} and {named(after, 3)}): p-MRR needs two qrels that differ."
        )
    missing = [qid for qid in lost if qid not in original_run or qid not in changed_run]
    if len(missing) == len(lost):
        raise RunError(
            f"none of the {len(lost)} topics whose relevance changed ({named(lost, 3)}) is in both "
            "runs: give the runs of the queries with the original and with the changed instruction."
        )
    if missing:
        logger.warning(
            "%d of %d topics whose relevance changed are not in both runs, and count not: %s",
            len(missing),
            len(lost),
            named(missing),
        )
    return {
        qid: 100 * _mean_change(docids, dict(original_run[qid]), dict(changed_run[qid]))
        for qid, docids in lost.items()
        if qid not in missing
    }


def _mean_change(
    docids: list[str], before: Mapping[str, float], after: Mapping[str, float]
) -> float:
    first, second = _ranks(before), _ranks(after)
    changes = [
        _change(first.get(docid, len(first) + 1), second.get(docid, len(second) + 1))
        for docid in docids
    ]
    return sum(changes) / len(changes)


def _change(before: int, after: int) -> float:
    return after / before - 1 if before > after else 1 - before / after


def _ranks(hits: Mapping[str, float]) -> dict[str, int]:
    return {docid: rank for rank, (docid, _) in enumerate(ranked(hits), 1)}


def _judgements(qrels: Qrels | Judgements) -> Judgements:
    return qrels.judgements if isinstance(qrels, Qrels) else qrels
