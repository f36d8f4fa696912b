"""Query encoding against the bare matrix products of its shapes.

A BERT-base with a hyper head for a q-net of six hidden blocks of width 768, the shape of the
published hypencoder.6_layer, with random weights, on a CPU: single queries and batches.
"""

from __future__ import annotations

import argparse

import torch
from transformers import BertConfig

from benchmarks.machine import best_of, table
from benchmarks.products import Shape, bare_products
from hypserini.modeling import HypencoderDualEncoder
from hypserini.modeling.configuration import HypencoderConfig
from hypserini.modeling.packed_linear import pack_linears


def shapes_of(model: HypencoderDualEncoder, queries: int, length: int) -> list[Shape]:
    """The products of `queries` queries of `length` tokens: the transformer's and the head's.

    Those of attention between tokens, a hundredth of the whole at these lengths, are left out.
    """
    base: BertConfig = model.passage_encoder.base_config
    tokens, width = queries * length, base.hidden_size
    shapes = base.num_hidden_layers * [
        *4 * [(tokens, width, width)],
        (tokens, width, base.intermediate_size),
        (tokens, base.intermediate_size, width),
    ]
    config = model.config.q_net_config
    heads = [*config.matrix_shapes, *((size, 1) for size in config.vector_sizes)]
    for inputs, rows in heads:
        shapes += [(tokens, width, inputs), (tokens, width, inputs), (tokens, inputs, rows)]
        shapes += queries * [(rows, length, inputs), (rows, inputs, inputs)]
    return shapes


def main(argv: list[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blocks", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args(argv)
    torch.manual_seed(0)
    config = HypencoderConfig.from_base(BertConfig(), q_net=args.blocks)
    model = HypencoderDualEncoder(config).eval()
    pack_linears(model)
    rows = []
    for queries, length in ((1, 8), (1, 10), (1, 12), (1, 32), (16, 10)):
        ids = torch.randint(1000, 20_000, (queries, length))
        mask = torch.ones_like(ids)

        @torch.no_grad()
        def encode(ids: torch.Tensor = ids, mask: torch.Tensor = mask) -> None:
            model.encode_queries(ids, mask)

        products = bare_products(shapes_of(model, queries, length))
        times = best_of(args.rounds, {"encode": encode, **products})
        seconds = times.pop("encode")
        rows.append(
            [
                *(queries, length, f"{seconds * 1e3:.1f}"),
                *(f"{value * 1e3:.1f} ({seconds / value:.2f})" for value in times.values()),
            ]
        )
    table(
        f"encoding queries: BERT-base, q-nets of {args.blocks} blocks, fp32 (in brackets: encoding"
        " / products)",
        ["queries", "tokens each", "encoding ms", *(f"products, {name}, ms" for name in products)],
        rows,
    )


if __name__ == "__main__":
    main()
