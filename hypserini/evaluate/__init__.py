"""Evaluation: measures over runs and judgements, and paired tests between runs."""

from hypserini.evaluate.instructions import p_mrr
from hypserini.evaluate.measures import Measure, evaluate, mean, parse_measure
from hypserini.evaluate.significance import compare, holm, paired_t_test
from hypserini.formats.qrels import Qrels, load_qrels

__all__ = [
    "Measure",
    "Qrels",
    "compare",
    "evaluate",
    "holm",
    "load_qrels",
    "mean",
    "p_mrr",
    "paired_t_test",
    "parse_measure",
]
