"""Makes the plan of a search from the flags, and refuses flags that contradict each other."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypserini import cli
from hypserini.cluster.connection import ClusterOptions
from hypserini.errors import HypseriniError
from hypserini.search.command import plan as plans
from hypserini.search.command.plan import Around, Output, Place, SearchPlan, Telling
from hypserini.search.resident.residence import Residence

OF_TANGENT = ("fetch", "rounds", "ef_search", "stable", "max_scored")
"""Flags that only a search by tangents heeds, and the graph's with a mode of its own."""


def make_plan(args: argparse.Namespace) -> SearchPlan:
    """What the flags ask for.

    Raises:
        HypseriniError: They contradict each other, or one would be ignored; says which.
    """
    mode = _mode(args)
    for complaint in _contradictions(args, mode):
        raise HypseriniError(complaint)
    cli.refuse_ignored(args, _owners(args, mode))
    around = _around(args)
    hits = plans.HITS_OF_A_TOPIC if args.topics else plans.HITS_OF_A_QUERY
    return SearchPlan(
        topics=args.topics,
        query=args.query,
        mode=mode,
        options=_options(args, mode),
        filter=args.filter,
        hits=args.hits or (plans.HITS_AT_THE_PROMPT if args.interactive else hits),
        remove_query=args.remove_query,
        place=Place(
            index=tuple(args.index or ()),
            model=args.model,
            settings=cli.encoding_settings(args),
            encoded_queries=args.encoded_queries,
            device=args.device,
            dtype=args.dtype,
            residence=Residence(args.resident, args.resident_format, args.resident_memory),
            max_length=args.max_length,
            batch_size=args.batch_size,
            threads=args.threads,
            q_net_size=args.q_net_size,
            cascade=args.cascade,
            cluster=_cluster(args),
            allow_partial=args.allow_partial,
        ),
        around=around,
        output=Output(Path(args.output) if args.output else None, args.output_format, args.tag),
        telling=Telling(
            args.explain_cost, args.check, args.target_overlap, args.quiet, args.explain
        ),
    )


def _mode(args: argparse.Namespace) -> str:
    # The default is to choose; what else is given may say what is meant.
    if args.mode != "auto":
        return args.mode
    if args.rerank_run or args.first_stage:
        return "rerank"
    return "tangent" if any(name in args.given for name in OF_TANGENT) else "auto"


def _contradictions(args: argparse.Namespace, mode: str) -> Iterator[str]:
    """What is wrong with the flags together, the most telling complaint first."""
    if args.rerank_run and args.first_stage:
        yield "--rerank-run and --first-stage exclude each other: give one of them."
    for name in ("rerank_run", "first_stage"):
        if getattr(args, name) and mode != "rerank":
            yield f"{args.given[name]} belongs to --mode rerank, not to --mode {mode}."
    if mode == "rerank":
        if args.interactive:
            yield "--interactive shows BM25 beside the q-nets: leave reranking out."
        if not (args.rerank_run or args.first_stage):
            yield (
                "--mode rerank needs documents to rerank: give --rerank-run FILE or --first-stage"
                " bm25."
            )
        if args.check or args.target_overlap:
            flag = "--check" if args.check else "--target-overlap"
            yield f"{flag} compares with exhaustive search, which reranking is not."
    if None not in (args.cascade, args.q_net_size) and args.cascade >= args.q_net_size:
        yield "--cascade searches with smaller q-nets than --q-net-size: give a smaller number."
    if args.rerank_run and args.query is not None:
        yield "--rerank-run belongs to --topics: rerank a query's --first-stage bm25."
    if args.budget and not args.adaptive:
        yield "--budget belongs to --adaptive; --rerank-depth limits what is given."
    if (args.k1 is None) != (args.b is None):
        yield "BM25 takes both --k1 and --b, or neither."
    if args.target_overlap and (args.fetch or args.rounds or args.ef_search):
        yield "--target-overlap finds --fetch, --rounds and --ef-search: leave these out."
    if args.target_overlap and args.cascade is not None:
        yield "--target-overlap counts on whole q-nets: leave --cascade out."
    for name in ("max_scored", "stable"):
        if args.target_overlap and name in args.given:
            yield f"{args.given[name]} ends searches that --target-overlap counts on: leave it out."


def _owners(args: argparse.Namespace, mode: str) -> list[cli.Row]:
    """What each flag belongs to, and does nothing without."""
    bm25 = args.first_stage or args.hybrid or args.interactive
    return [
        (bool(args.topics), "--topics", "output output_format tag remove_query threads check"),
        (args.query is not None, "--query", "explain"),
        (bool(args.topics), "--topics", "target_overlap explain_cost encoded_queries batch_size"),
        (not args.interactive, "--topics or --query", "hybrid max_passage"),
        (bool(args.cluster), "--cluster", "cluster_cpus cluster_gpus cluster_patience"),
        (bool(args.cluster), "--cluster", "replicas allow_partial"),
        (not args.cluster, "one machine, which --cluster is not", "adaptive target_overlap"),
        (
            not args.encoded_queries,
            "topics that are encoded, and --encoded-queries were",
            "threads max_length pooling l2_norm query_prefix q_net_size",
        ),
        (not (args.encoded_queries and args.index), "topics that are encoded", "model"),
        (mode != "rerank", "a search, which reranking is not", "cascade"),
        (args.output_format == "trec", "--output-format trec", "tag"),
        (
            args.resident is not False,
            "a field that is kept on the device, and --no-resident keeps none",
            "resident_format resident_memory",
        ),
        (mode in ("auto", "tangent"), "--mode tangent", "fetch rounds ef_search stable"),
        (mode in ("auto", "tangent"), "--mode tangent", "target_overlap"),
        (mode == "graph", "--mode graph", "entry num_entry_points ncandidates max_iter seed"),
        (mode == "graph", "--mode graph", "no_early_stop patience frontier"),
        (args.entry != "tangent", "--entry random, layer or bm25", "seed"),
        (not args.no_early_stop, "a walk that stops early", "patience"),
        (mode in ("auto", "tangent", "graph"), "--mode tangent or graph", "max_scored"),
        (mode == "rerank", "--mode rerank", "rerank_depth drop_missing adaptive budget"),
        (bool(bm25), "--first-stage bm25 and --hybrid", "k1 b rm3"),
        (args.hybrid == "interpolate", "--hybrid interpolate", "alpha"),
        (
            args.hybrid in ("interpolate", "average"),
            "--hybrid interpolate or average",
            "normalization",
        ),
        (args.hybrid == "rrf", "--hybrid rrf", "rrf_k"),
        (args.max_passage, "--max-passage", "max_passage_hits max_passage_delimiter"),
    ]


def _cluster(args: argparse.Namespace) -> ClusterOptions | None:
    cluster = cli.cluster_options(args)
    if cluster is None:
        return None
    return replace(cluster, patience=args.cluster_patience, replicas=args.replicas)


def _options(args: argparse.Namespace, mode: str) -> Any:
    """The options of the mode; those of reranking are made when its first stage is opened."""
    if mode in ("auto", "tangent"):
        from hypserini.search.modes.auto import AutoOptions
        from hypserini.search.modes.tangent import TangentOptions

        tangent = TangentOptions(
            fetch=args.fetch,
            rounds=args.rounds,
            ef=args.ef_search,
            max_scored=args.max_scored,
            stable=args.stable,
        )
        return AutoOptions(tangent) if mode == "auto" else tangent
    if mode == "graph":
        from hypserini.search.modes.graph import GraphOptions

        return GraphOptions(
            entry=args.entry,
            num_entry_points=args.num_entry_points,
            ncandidates=args.ncandidates,
            max_iter=args.max_iter,
            early_stop=not args.no_early_stop,
            patience=args.patience,
            frontier=args.frontier,
            max_scored=args.max_scored,
            seed=args.seed,
        )
    return None


def _around(args: argparse.Namespace) -> Around:
    around = Around(
        rerank_run=args.rerank_run,
        first_stage=args.first_stage,
        rerank_depth=args.rerank_depth,
        drop_missing=args.drop_missing,
        adaptive=args.adaptive,
        budget=args.budget,
    )
    if args.first_stage or args.hybrid or args.interactive:
        from hypserini.search.bm25 import Bm25Options

        around = replace(around, bm25=Bm25Options(args.k1, args.b, args.rm3))
    if args.hybrid:
        from hypserini.search.hybrid import HybridOptions

        fusion = HybridOptions(args.hybrid, args.alpha, args.normalization, args.rrf_k)
        around = replace(around, hybrid=fusion)
    if args.max_passage:
        from hypserini.search.passages import MaxPassage

        collapse = MaxPassage(args.max_passage_hits, args.max_passage_delimiter)
        around = replace(around, max_passage=collapse)
    return around
