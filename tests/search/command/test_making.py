"""The plan that is made of the flags; what contradicts itself or would be ignored is refused."""

from __future__ import annotations

import pytest

from hypserini import cli
from hypserini.errors import HypseriniError
from hypserini.search.command.flags import build_parser
from hypserini.search.command.making import make_plan

TOPICS = "--topics t.tsv"
QUERY = "--query graph"
PROMPT = "--interactive"


def plan(flags: str):
    parser = build_parser()
    cli.add_common_arguments(parser)  # as the frame does
    return make_plan(parser.parse_args([*flags.split(), "--index", "ix"]))


@pytest.mark.parametrize(
    ("flags", "ignored"),
    [
        (QUERY, "output o"),
        (QUERY, "output-format trec"),  # the default, given all the same
        (QUERY, "tag t"),
        (QUERY, "remove-query"),
        (QUERY, "threads 1"),
        (QUERY, "batch-size 16"),
        (QUERY, "check 5"),
        (QUERY, "target-overlap 0.9"),
        (QUERY, "explain-cost"),
        (QUERY, "encoded-queries q"),
        (PROMPT, "hybrid rrf"),
        (PROMPT, "max-passage"),
        (f"{TOPICS} --encoded-queries q", "threads 2"),
        (f"{TOPICS} --encoded-queries q", "max-length 32"),
        (f"{TOPICS} --encoded-queries q", "query-prefix x"),
        (f"{TOPICS} --encoded-queries q", "model m"),
        (f"{TOPICS} --output-format msmarco", "tag t"),
        (f"{TOPICS} --output-format json", "tag t"),
        (f"{TOPICS} --mode exhaustive", "fetch 64"),
        (f"{TOPICS} --mode exhaustive", "rounds 3"),
        (f"{TOPICS} --mode graph", "ef-search 64"),
        (f"{TOPICS} --mode graph", "stable 0.0"),
        (f"{TOPICS} --mode graph", "target-overlap 0.9"),
        (f"{TOPICS} --mode exhaustive", "max-scored 100"),
        (f"{TOPICS} --first-stage bm25", "max-scored 100"),
        (TOPICS, "entry tangent"),
        (TOPICS, "num-entry-points 5"),
        (TOPICS, "ncandidates 5"),
        (TOPICS, "max-iter 16"),
        (f"{TOPICS} --mode tangent", "no-early-stop"),
        (f"{TOPICS} --mode tangent", "frontier all"),
        (f"{TOPICS} --mode graph --entry tangent", "seed 43"),
        (f"{TOPICS} --mode graph --no-early-stop", "patience 1"),
        (TOPICS, "rerank-depth 1000"),
        (TOPICS, "drop-missing"),
        (TOPICS, "adaptive"),
        (TOPICS, "k1 0.9 --b 0.4"),
        (TOPICS, "rm3"),
        (f"{TOPICS} --rerank-run r", "k1 0.9 --b 0.4"),
        (TOPICS, "alpha 0.5"),
        (f"{TOPICS} --hybrid rrf", "alpha 0.5"),
        (f"{TOPICS} --hybrid rrf", "normalization"),
        (f"{TOPICS} --hybrid normalize", "normalization"),
        (f"{TOPICS} --hybrid average", "rrf-k 60"),
        (TOPICS, "max-passage-hits 100"),
        (TOPICS, "max-passage-delimiter #"),
    ],
)
def test_what_would_be_ignored_is_refused(flags: str, ignored: str) -> None:
    plan(flags)
    with pytest.raises(HypseriniError, match=f"^--{ignored.split()[0]} belongs to .*: leave it"):
        plan(f"{flags} --{ignored}")


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (f"{TOPICS} --rerank-run r --first-stage bm25", "exclude each other"),
        (f"{TOPICS} --rerank-run r --mode graph", "--rerank-run belongs to --mode rerank"),
        (f"{TOPICS} --mode rerank", "needs documents to rerank"),
        (f"{TOPICS} --first-stage bm25 --check 5", "--check compares with exhaustive"),
        (f"{QUERY} --rerank-run r", "--rerank-run belongs to --topics"),
        (f"{TOPICS} --first-stage bm25 --budget 5", "--budget belongs to --adaptive"),
        (f"{TOPICS} --hybrid rrf --k1 0.9", "both --k1 and --b"),
        (f"{TOPICS} --target-overlap 0.9 --fetch 64", "--target-overlap finds --fetch"),
        (f"{TOPICS} --target-overlap 0.9 --cascade 1", "counts on whole q-nets"),
        (f"{TOPICS} --target-overlap 0.9 --max-scored 99", "--max-scored ends searches"),
        (f"{TOPICS} --target-overlap 0.9 --stable 0.005", "--stable ends searches"),
    ],
)
def test_contradictions(flags: str, complaint: str) -> None:
    with pytest.raises(HypseriniError, match=complaint):
        plan(flags)


@pytest.mark.parametrize(
    "flags",
    [
        "--hits 0",
        "--hits 1.5",
        "--k1 -1 --b 0.4",
        "--k1 inf --b 0.4",
        "--k1 0.9 --b 1.1",
        "--hybrid interpolate --alpha 1.7",
        "--hybrid interpolate --alpha nan",
        "--stable -3",
        "--stable 1.01",
        "--mode graph --entry random --seed -1",
        "--target-overlap 0",
        "--target-overlap nan",
        "--target-overlap 1.1",
        "--threads 0",
        "--threads 99999",
        "--check -1",
        "--max-length 0",
    ],
)
def test_numbers_out_of_their_range_are_refused_as_flags(flags: str, capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        plan(f"{TOPICS} {flags}")
    assert ended.value.code == 2
    assert "error: argument --" in capsys.readouterr().err


def test_the_plan_holds_what_the_flags_say() -> None:
    made = plan(f"{TOPICS} --hits 3000000000 --hybrid interpolate --alpha 0.3 --k1 1 --b 0.5")
    assert made.topics == "t.tsv"
    assert made.hits == 2**31 - 1
    assert (made.around.hybrid.method, made.around.hybrid.alpha) == ("interpolate", 0.3)
    assert (made.around.bm25.k1, made.around.bm25.b) == (1.0, 0.5)
    reranking = plan(f"{TOPICS} --first-stage bm25")
    assert reranking.mode == "rerank"
    assert plan(QUERY).hits == 10
    assert plan(PROMPT).hits == 5


@pytest.mark.parametrize("flag", ["fetch 64", "rounds 2", "ef-search 64", "stable 0.1"])
def test_flags_of_a_mode_choose_it(flag: str) -> None:
    assert plan(TOPICS).mode == "auto"
    assert plan(f"{TOPICS} --{flag}").mode == "tangent"
    assert plan(f"{TOPICS} --max-scored 500").options.max_scored == 500
