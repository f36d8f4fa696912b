"""The model card: what the model is, how it was trained, and what was measured."""

from __future__ import annotations

import json
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from hypserini.modeling import HypencoderDualEncoder
from hypserini.modeling.recorded import RecordedEncoder
from hypserini.train.recipe.config import TrainingConfig
from hypserini.train.report.history import History, losses, measures
from hypserini.train.report.plot import NAME as PICTURE

if TYPE_CHECKING:
    from hypserini.modeling import DualEncoder

_PACKAGES = ("hypserini", "torch", "transformers", "accelerate")
_SHOWN_VALIDATIONS = 30


def model_card(
    model: DualEncoder,
    config: TrainingConfig,
    arguments: Any,
    *,
    step: int,
    examples: int,
    history: History,
    best: str | None = None,
    with_picture: bool = False,
) -> str:
    """Write README.md for a model.

    Args:
        model: what was trained.
        config: the recipe.
        arguments: transformers' TrainingArguments of the run.
        step: how many steps were taken.
        examples: how many examples there are to train on.
        history: the Trainer's log.
        best: the checkpoint's name whose weights these are, if not those of the last step.
        with_picture: the plot of the run lies beside the card.
    """
    name = Path(arguments.output_dir).resolve().name
    recipe = _recipe(model, config, arguments, step, examples, history, best)
    parts = [
        _front_matter(config),
        f"# {name}",
        _what(model),
        _use(name, model),
        f"## Training\n\n{_table(recipe)}",
    ]
    if with_picture:
        parts.append(f"![Loss and validation by step]({PICTURE})")
    if measures(history):
        parts.append(f"## Validation\n\n{_validation(config, history)}")
    parts.append(f"## Configuration\n\n```yaml\n{_yaml(config.given)}```")
    return "\n\n".join(parts) + "\n"


def _front_matter(config: TrainingConfig) -> str:
    values: dict[str, Any] = {
        "library_name": "hypserini",
        "pipeline_tag": "sentence-similarity",
        "tags": ["hypserini", "dense-retrieval", config.model_config.model_type],
    }
    section = config.model_config
    base = section.checkpoint_path or section.query_encoder_kwargs.get("model_name_or_path")
    if base and not Path(base).exists() and section.base_config is None:
        values["base_model"] = base
    data = config.data_config.training_huggingface_dataset
    if data and not Path(data).exists():
        values["datasets"] = [data]
    return f"---\n{_yaml(values)}---"


def _what(model: DualEncoder) -> str:
    if isinstance(model, HypencoderDualEncoder):
        blocks = len(model.config.q_net_config.vector_sizes)
        kind = (
            f"A Hypencoder (arXiv 2502.05364): a query becomes a small network of {blocks} hidden "
            f"block{'s' * (blocks != 1)} that scores document vectors of {model.dim} dimensions."
        )
    else:
        kind = f"A bi-encoder: queries and documents become vectors of {model.dim} dimensions."
    base = (model.config.base_config or {}).get("model_type", "transformer")
    if isinstance(model.passage_encoder, RecordedEncoder):
        made_by = model.passage_encoder.name
        return (
            f"{kind} They are those of {made_by}, over which it was trained: an index of that one "
            f"is searched as it is. Queries go through an encoder of the kind {base} and are cut "
            f"to {model.query_max_length} tokens."
        )
    shared = "one encoder" if model.config.shared_encoder else "two encoders"
    return (
        f"{kind} {base} with {shared} for queries and documents; pooling {model.pooling}; queries "
        f"are cut to {model.query_max_length} tokens, documents to {model.document_max_length}."
    )


def _use(name: str, model: DualEncoder) -> str:
    encoder, searching = name, ""
    if isinstance(model.passage_encoder, RecordedEncoder):
        encoder, searching = model.passage_encoder.name, f" --model {name}"
    return (
        "## Use\n\n```\npip install hypserini\n"
        f"python -m hypserini.index --collection corpus.jsonl --index index --model {encoder}\n"
        f"python -m hypserini.search --index index{searching} --topics topics.tsv "
        "--output run.txt\n```"
    )


def _recipe(
    model: DualEncoder,
    config: TrainingConfig,
    arguments: Any,
    step: int,
    examples: int,
    history: History,
    best: str | None,
) -> dict[str, Any]:
    data = config.data_config
    device = arguments.per_device_train_batch_size
    batch = device * arguments.gradient_accumulation_steps * arguments.world_size
    names = list(zip(model.config.loss_type, model.config.loss_kwargs or [], strict=True))
    recipe: dict[str, Any] = {
        "Losses": ", ".join(f"{loss} {kwargs or ''}".strip() for loss, kwargs in names),
        "Examples": f"{examples:,}, each with {data.num_negatives_to_sample} negatives",
        "Steps": f"{step:,} of {batch} examples"
        + (f" ({device} a device, over which negatives are shared)" if batch != device else ""),
        "Learning rate": f"{arguments.learning_rate:g}, {_name(arguments.lr_scheduler_type)}, "
        f"{arguments.warmup_steps:g} warm-up steps",
        "Optimiser": f"{_name(arguments.optim)}, betas {arguments.adam_beta1:g} and "
        f"{arguments.adam_beta2:g}, weight decay {arguments.weight_decay:g}, gradients cut to "
        f"{arguments.max_grad_norm:g}",
        "Number format": "bf16" if arguments.bf16 else "fp16" if arguments.fp16 else "fp32",
        "Seeds": f"{arguments.seed} (weights), {arguments.data_seed} (data)",
        "Head": config.model_config.head_initialization
        if isinstance(model, HypencoderDualEncoder)
        else None,
        "Parameters": f"{sum(p.numel() for p in model.parameters()):,}",
    }
    if logged := losses(history).get("loss"):
        recipe["Loss at the end"] = f"{logged[-1][1]:.4f}"
    if best:
        recipe["Weights"] = f"those of {best}, the best in validation"
    recipe["Versions"] = ", ".join(f"{p} {_version(p)}" for p in _PACKAGES)
    recipe["Versions"] += f", Python {platform.python_version()}"
    return {key: value for key, value in recipe.items() if value is not None}


def _name(choice: Any) -> str:
    """What one writes in the configuration for one of the Trainer's choices."""
    return str(getattr(choice, "value", choice))


def _validation(config: TrainingConfig, history: History) -> str:
    section = config.trainer_config.validation
    curves = measures(history)
    steps = sorted({step for curve in curves.values() for step, _ in curve})
    stride = -(-len(steps) // _SHOWN_VALIDATIONS)
    shown = [s for n, s in enumerate(steps) if n % stride == 0 or s == steps[-1]]
    by_step = {name: dict(curve) for name, curve in curves.items()}
    best = {name: max(curve, key=lambda point: point[1]) for name, curve in curves.items()}
    lines = [
        "| step | " + " | ".join(curves) + " |",
        "|---" * (1 + len(curves)) + "|",
        *(
            f"| {step} | "
            + " | ".join(f"{by_step[n][step]:.4f}" if step in by_step[n] else "" for n in curves)
            + " |"
            for step in shown
        ),
    ]
    where = f" on {section.beir or section.queries}" if section else ""
    found = ", ".join(f"{name} {value:.4f} (step {step})" for name, (step, value) in best.items())
    return f"Exhaustive retrieval{where}. Best: {found}.\n\n" + "\n".join(lines)


def _table(values: dict[str, Any]) -> str:
    return "\n".join(["| | |", "|---|---|", *(f"| {key} | {v} |" for key, v in values.items())])


def _yaml(values: Any) -> str:
    plain = json.loads(json.dumps(values, default=str))  # a caller may give paths
    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=100)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "from its sources"
