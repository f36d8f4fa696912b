from __future__ import annotations

import math
import random
import subprocess

import pytest

from hypserini.errors import MeasureError, RunError
from hypserini.evaluate import evaluate, mean, parse_measure
from hypserini.evaluate.measures import default_measures
from hypserini.formats.qrels import Qrels
from hypserini.formats.runs import read_run, write_run

QRELS = {"q1": {"a": 3, "b": 1, "c": 0}, "q2": {"x": 2}, "q3": {"z": 1}}
RUN = {
    "q1": [("n", 9.0), ("b", 8.0), ("a", 7.0), ("c", 6.0)],
    "q2": [(f"n{i}", 50.0 - i) for i in range(10)] + [("x", 1.0)],
    "unjudged": [("a", 1.0)],
}


@pytest.mark.parametrize(
    ("measure", "q1", "q2"),
    [
        # DCG = 1/log2(3) + 3/log2(4), ideally 3 + 1/log2(3): gains are the grades, as in trec_eval.
        ("nDCG@10", (1 / math.log2(3) + 3 / 2) / (3 + 1 / math.log2(3)), 0.0),
        ("RR", 1 / 2, 1 / 11),
        ("RR@10", 1 / 2, 0.0),
        ("RR(rel=2)", 1 / 3, 1 / 11),
        ("RR(rel=2)@2", 0.0, 0.0),
        ("R@2", 1 / 2, 0.0),
        ("R(rel=2)@3", 1.0, 0.0),
        ("R@1000", 1.0, 1.0),
        ("AP", (1 / 2 + 2 / 3) / 2, 1 / 11),
        ("AP@2", (1 / 2) / 2, 0.0),
        ("P@10", 2 / 10, 0.0),
        ("P(rel=3)@3", 1 / 3, 0.0),
        ("Success@1", 0.0, 0.0),
        ("Success@2", 1.0, 0.0),
        ("Rprec", 1 / 2, 0.0),
        ("Judged@2", 1 / 2, 0.0),
        ("Judged@10", 3 / 4, 0.0),
    ],
)
def test_values_by_hand(measure, q1, q2):
    scores = evaluate(QRELS, RUN, [measure])[parse_measure(measure)]
    # q3 is judged and missing in the run, `unjudged` the other way round.
    assert scores == pytest.approx({"q1": q1, "q2": q2, "q3": 0.0})
    assert mean(scores) == pytest.approx((q1 + q2) / 3)


def test_equals_trec_eval(tmp_path):
    """The program in Anserini's jar, which `python -m pyserini.eval.trec_eval` runs."""
    from hypserini.jvm import jdk
    from hypserini.jvm.jar import anserini_jar

    rng = random.Random(5)
    documents = [f"D{i:03}" for i in range(400)]
    qrels = {
        str(qid): {docid: rng.choice([0, 0, 1, 2, 3]) for docid in rng.sample(documents, 40)}
        for qid in range(30)
    }
    (tmp_path / "qrels").write_text(
        "".join(f"{q} 0 {d} {g}\n" for q, grades in qrels.items() for d, g in grades.items())
    )
    with write_run(tmp_path / "run") as writer:
        for qid in range(3, 33):  # Three judged topics are missing, three are not judged.
            # Many equal scores, and scores that differ beyond float32 alone.
            scores = {d: -12 + round(rng.random(), 1) for d in rng.sample(documents, 300)}
            scores |= {d: score + 1e-8 for d, score in list(scores.items())[::3]}
            hits = sorted(scores.items(), key=lambda hit: (-hit[1], hit[0]))
            writer.write(str(qid), hits)
    command = [jdk.find().tool("java"), "-cp", anserini_jar(), "trec_eval", "-c"]

    def trec_eval(*options: str) -> dict[str, float]:
        done = subprocess.run(
            [*map(str, command), *options, str(tmp_path / "qrels"), str(tmp_path / "run")],
            capture_output=True,
            text=True,
            check=True,
        )
        return {line.split()[0]: float(line.split()[2]) for line in done.stdout.splitlines()}

    run = read_run(tmp_path / "run")
    means = {str(m): mean(v) for m, v in evaluate(qrels, run, [*PLAIN, *GRADED, *CUT]).items()}
    plain = trec_eval(*(part for name in PLAIN.values() for part in ("-m", name)))
    for ours, theirs in PLAIN.items():
        assert means[ours] == pytest.approx(plain[theirs.replace(".", "_")], abs=6e-5), ours
    graded = trec_eval("-l", "2", *(part for name in GRADED.values() for part in ("-m", name)))
    for ours, theirs in GRADED.items():
        assert means[ours] == pytest.approx(graded[theirs.replace(".", "_")], abs=6e-5), ours
    for ours, options in CUT.items():
        cut = trec_eval(*options, "-m", "recip_rank")
        assert means[ours] == pytest.approx(cut["recip_rank"], abs=6e-5), ours
    assert 0.05 < means["RR(rel=2)@10"] < means["RR(rel=2)"] < means["RR"]


PLAIN = {
    "nDCG@10": "ndcg_cut.10",
    "nDCG": "ndcg",
    "RR": "recip_rank",
    "R@100": "recall.100",
    "AP": "map",
    "AP@50": "map_cut.50",
    "P@10": "P.10",
    "Success@5": "success.5",
    "Rprec": "Rprec",
    "Bpref": "bpref",
}
GRADED = {"RR(rel=2)": "recip_rank", "R(rel=2)@100": "recall.100", "AP(rel=2)": "map"}
CUT = {
    "RR@10": ("-M", "10"),
    "RR@2": ("-M", "2"),
    "RR(rel=2)@10": ("-M", "10", "-l", "2"),
}


def test_rr_at_10_is_ms_marcos_own():
    """The organisers' rule: 1/rank of the first relevant passage among ten, else 0; all queries."""
    rng = random.Random(1)
    qrels = {str(qid): {str(rng.randrange(30)): 1} for qid in range(50)}
    run, official = {}, 0.0
    for qid, relevant in qrels.items():
        ranking = [str(docid) for docid in rng.sample(range(30), 20)]
        run[qid] = [(docid, 1 / rank) for rank, docid in enumerate(ranking, 1)]
        ranks = [rank for rank, docid in enumerate(ranking[:10], 1) if docid in relevant]
        official += 1 / ranks[0] if ranks else 0.0
    assert mean(evaluate(qrels, run, ["RR@10"])[parse_measure("RR@10")]) == pytest.approx(
        official / 50
    )


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("ndcg@10", "nDCG@10"),
        ("ndcg_cut.10", "nDCG@10"),
        ("ndcg_cut_10", "nDCG@10"),
        ("recip_rank", "RR"),
        ("MRR@10", "RR@10"),
        ("recall.1000", "R@1000"),
        ("R(rel=2)@1000", "R(rel=2)@1000"),
        ("R(rel=1)@1000", "R@1000"),
        ("map", "AP"),
        ("P_5", "P@5"),
    ],
)
def test_notations(text, name):
    assert str(parse_measure(text)) == name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nDGC@10", "unknown measure nDGC@10; the nearest is nDCG: expected nDCG, RR"),
        ("nonsense", "unknown measure nonsense: expected"),
        ("nDCG@", "unknown measure"),
        ("R", "the measure R needs a cutoff, as in R@10"),
        ("P@0", "takes no such cutoff"),
        ("Rprec@5", "takes no such cutoff"),
        ("nDCG(rel=2)@10", "takes no such grade"),
        ("RR(rel=0)", "takes no such grade"),
        ("nDCG@" + "9" * 5000, "unknown measure nDCG@999"),
        ("RR(rel=" + "9" * 5000 + ")", "unknown measure RR(rel=999"),
        ("P@\u0661\u0660", "unknown measure P@"),
    ],
)
def test_bad_measures(text, message):
    with pytest.raises(MeasureError, match=message.replace("(", r"\(").replace(")", r"\)")):
        parse_measure(text)
    with pytest.raises(MeasureError) as caught:
        parse_measure(text)
    assert len(str(caught.value)) < 500


def test_a_run_for_other_topics_is_an_error():
    with pytest.raises(RunError, match=r"none of the run's 1 topics \(7\) is judged \(q1, q2, q3"):
        evaluate(QRELS, {"7": [("a", 1.0)]}, ["RR"])


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("dl", ["nDCG@10", "RR(rel=2)", "R(rel=2)@1000"]),
        ("msmarco-dev", ["nDCG@10", "RR@10", "R@1000"]),
        (None, ["nDCG@10", "RR", "R@1000"]),
    ],
)
def test_default_measures_are_the_papers(kind, names):
    assert [str(m) for m in default_measures(Qrels("name", QRELS, kind))] == names
