"""The training configuration of an adaptation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypserini.train.adapt.options import AdaptOptions

RANKED = 3_000
"""Documents that checkpoints are chosen on, at most: ranking more costs more than training."""

TUNED = 0.1
"""The rate at which a pretrained encoder learns, over that of a new head."""


def configuration(
    index: str,
    model: str | None,
    dimension: int,
    folder: Path,
    work: Path,
    examples: int,
    options: AdaptOptions,
) -> dict[str, Any]:
    """The training configuration.

    Args:
        index: Whose vectors are trained over.
        model: Their encoder, where the index does not say it.
        dimension: Of the vectors.
        folder: Of the model.
        work: Of what it is trained and validated on.
        examples: How many.
        options: Of the adaptation.
    """
    steps = max(10, -(-examples // options.batch_size))
    arguments: dict[str, Any] = {
        "output_dir": str(folder),
        "seed": options.seed,
        "num_train_epochs": options.epochs,
        "per_device_train_batch_size": options.batch_size,
        "learning_rate": options.learning_rate,
        "lr_scheduler_type": "linear",
        "warmup_steps": steps // 5,
        "weight_decay": 0.0,
        "logging_steps": max(1, steps // 10),
        "eval_strategy": "steps",
        "eval_steps": steps,
        "save_strategy": "steps",
        "save_steps": steps,
        "save_total_limit": 1,
        "load_best_model_at_end": True,
        "report_to": "none",
    }
    model_config: dict[str, Any] = {
        "passage_vectors": {"index": index, "model": model},
        "loss_type": ["kl_divergence"],
        "loss_kwargs": [{"temperature": options.temperature}],
    }
    if options.cross_entropy:
        model_config["loss_type"].append("cross_entropy")
        model_config["loss_kwargs"].append(
            {
                "temperature": options.temperature,
                "scale": options.cross_entropy,
                "use_in_batch_negatives": options.in_batch,
            }
        )
    trainer: dict[str, Any] = {
        "validation": {
            "queries": str(work / "validation.topics.tsv"),
            "qrels": str(work / "validation.qrels.txt"),
            "max_documents": RANKED,
        },
        "hf_trainer_config": arguments,
    }
    if options.dot_product:
        model_config["model_type"] = "biencoder"
        arguments["learning_rate"] = TUNED * options.learning_rate
    else:
        widths = [dimension] * (options.blocks + 1) + [1]
        model_config["query_encoder_kwargs"] = {
            "freeze_transformer": not options.tune,
            "converter_kwargs": {"vector_dimensions": widths, "add_query_vector": True},
            **({"nested": list(options.nested)} if options.nested else {}),
        }
        trainer["learning_rate_factors"] = {
            # The hidden blocks end in a layer norm, of a length of sqrt(width), and cosines
            # differ by tenths: output weights that learnt as fast as the rest would drown them,
            # and ten times slower ones hardly leave zero.
            rf"weight_hyper_projection\.{options.blocks}\.": 1e-2,
            rf"hyper_base_matrices\.{options.blocks}$": 0.05,
            **({r"\.transformer\.": TUNED} if options.tune else {}),
        }
    return {
        "model_config": model_config,
        "data_config": {
            "training_data_jsonl": str(work / "train.jsonl"),
            "num_negatives_to_sample": options.negatives,
            "query_max_length": 64,
        },
        "trainer_config": trainer,
    }
