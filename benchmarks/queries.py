"""A whole query, from its text to its hits: a Hypencoder against a bi-encoder, step by step.

Both go through the same pipeline over the same index: the transformer reads the query, tangent
search finds the best documents. The bi-encoder's q-net is one vector, the states pooled as those of
documents are; the Hypencoder's is what its hypernetwork makes of them.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, cast

import torch

from benchmarks.machine import best_of, table
from benchmarks.search_data import load_data, write_index
from hypserini.encode import QueryEncoder
from hypserini.index.reader import Index
from hypserini.modeling import QNet, QNetConfig
from hypserini.modeling.hypernetwork import Hypernetwork
from hypserini.modeling.pooling import pool
from hypserini.search.modes.tangent import TangentOptions, search_by_tangents
from hypserini.search.scorer import QNetScorer, QueryBatch


def main(argv: list[str] | None = None) -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=50_000)
    parser.add_argument("--topics", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--hits", type=int, default=10)
    parser.add_argument("--cache", type=Path, default=Path(".cache/bench-search"))
    args = parser.parse_args(argv)
    data = load_data(args.cache, args.documents)
    texts = data.queries[: args.topics]
    with Index(write_index(args.cache, data, args.documents)) as index:
        times = _time(index, QueryEncoder(data.model), texts, args.hits, args.rounds)
    each = {name: seconds * 1e3 / len(texts) for name, seconds in times.items()}
    hyp = each["transformer"] + each["hypernetwork"] + each["search by q-net"]
    bi = each["transformer"] + each["search by vector"]
    table(
        f"a query of {args.documents:,} documents, k = {args.hits}, one after another",
        ["", "transformer ms", "hypernetwork ms", "search ms", "all ms"],
        [
            [name, *(f"{ms:.2f}" for ms in (each["transformer"], head, search, whole))]
            for name, head, search, whole in (
                ("bi-encoder", 0.0, each["search by vector"], bi),
                ("Hypencoder", each["hypernetwork"], each["search by q-net"], hyp),
            )
        ],
    )
    print(f"\nHypencoder / (bi-encoder + hypernetwork): {hyp / (bi + each['hypernetwork']):.2f}")


def _time(
    index: Index, encoder: QueryEncoder, texts: list[str], k: int, rounds: int
) -> dict[str, float]:
    """Seconds of each step for all texts, each alone; the best of several rounds."""
    model = encoder.model
    head = cast(Hypernetwork, model.query_encoder)
    inputs = [
        model.tokenizer(text, truncation=True, max_length=encoder.max_length, return_tensors="pt")
        for text in texts
    ]
    plan = TangentOptions().follow(k)
    options = TangentOptions(ef=plan.ef)  # the same for both, whatever their scores follow

    @torch.no_grad()
    def read() -> list[torch.Tensor]:
        return [_states(head, one) for one in inputs]

    states = read()

    @torch.no_grad()
    def produce() -> list[QNet]:
        pairs = zip(states, inputs, strict=True)
        return [head.produce(state, one["attention_mask"]) for state, one in pairs]

    def search(q_nets: list[QNet]) -> None:
        for q_net, text in zip(q_nets, texts, strict=True):
            batch = QueryBatch(q_net, ["q"], [text])
            search_by_tangents(index, batch, k, QNetScorer(q_net), options)

    vector = QNetConfig(vector_dimensions=(model.dim, 1))
    pooled = [
        pool(state, one["attention_mask"], model.pooling)
        for state, one in zip(states, inputs, strict=True)
    ]
    vectors = [QNet(vector, [one.unsqueeze(-1)], []) for one in pooled]
    q_nets = produce()
    return best_of(
        rounds,
        {
            "transformer": read,
            "hypernetwork": produce,
            "search by vector": lambda: search(vectors),
            "search by q-net": lambda: search(q_nets),
        },
    )


def _states(head: Hypernetwork, inputs: Any) -> torch.Tensor:
    mask = inputs["attention_mask"]
    return head.transformer(input_ids=inputs["input_ids"], attention_mask=mask).last_hidden_state


if __name__ == "__main__":
    main()
