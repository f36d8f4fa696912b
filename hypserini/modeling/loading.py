"""From the name of a model to the model: Hypencoders, the paper's bi-encoders, other encoders."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoConfig, AutoModel, AutoTokenizer, BertConfig, PreTrainedConfig
from transformers.initialization import no_init_weights

from hypserini.errors import ModelError
from hypserini.modeling.bi_encoder import BiEncoder, BiEncoderConfig
from hypserini.modeling.checkpoints import Checkpoint, fill_model
from hypserini.modeling.configuration import (
    DualEncoderConfig,
    HypencoderConfig,
    base_config_dict,
)
from hypserini.modeling.dual_encoder import DualEncoder, HypencoderDualEncoder
from hypserini.modeling.workers import check_threads

logger = logging.getLogger(__name__)

_TOKENIZER_MARKS = ("tokenizer.json", "vocab.txt", "tokenizer_config.json")
DTYPES = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "float64": torch.float64,
}


def load_model(
    name_or_path: str | os.PathLike[str],
    *,
    device: str | torch.device = "auto",
    dtype: str | torch.dtype = "float32",
) -> DualEncoder:
    """Load a model for encoding, in evaluation mode.

    Args:
        name_or_path: a checkpoint's folder, a name on the Hugging Face hub, or `hypserini-small`,
            the bundled model. It may be a Hypencoder or a bi-encoder of the paper's code
            (config.json without model_type, pytorch_model.bin or safetensors), what
            `save_pretrained` wrote, or any BERT-like encoder, which becomes a bi-encoder. No
            other weights than the checkpoint's are downloaded, and no code in it is run.
        device: `auto` (a GPU when there is one), `cpu`, `cuda`, `cuda:N` or `mps`.
        dtype: `float32`, `bfloat16`, `float16` or `float64`.

    Raises:
        ModelError: the model, or the device, is not there, or the checkpoint is broken; says how.
        ForkError: see `check_threads`.
    """
    if isinstance(dtype, str):
        if dtype not in DTYPES:
            raise ModelError(f"unknown dtype {dtype!r}: use one of {', '.join(DTYPES)}.")
        dtype = DTYPES[dtype]
    check_threads()
    device = choose_device(device)
    checkpoint = Checkpoint(name_or_path)
    checkpoint.fetch_small_files()
    values = checkpoint.config()
    model: DualEncoder
    if "query_encoder_kwargs" in values:
        model = _load_dual_encoder(checkpoint, values)
    elif "model_type" in values:
        model = _load_plain_encoder(checkpoint)
    else:
        raise ModelError(
            f"{checkpoint.folder}/config.json has neither query_encoder_kwargs nor model_type: "
            f"this is no model that can be searched with."
        )
    model.name = checkpoint.name
    model.tokenizer = _load_tokenizer(checkpoint, model.config)
    limit = getattr(model.tokenizer, "model_max_length", None) or model.config.document_max_length
    model.config.document_max_length = min(model.config.document_max_length, limit)
    model.config.query_max_length = min(model.config.query_max_length, limit)
    return model.cast(device, dtype).eval()


def choose_device(device: str | torch.device) -> torch.device:
    """Turn what the user asked for into a device that is there.

    Raises:
        ModelError: the name means nothing to torch, or the device is not there.
    """
    if str(device) == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
        return torch.device("mps" if torch.backends.mps.is_available() else name)
    try:
        chosen = torch.device(device)
        torch.empty(1, device=chosen)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ModelError(f"the device {device} cannot be used here: try --device cpu.") from error
    return chosen


def _load_dual_encoder(checkpoint: Checkpoint, values: Mapping[str, Any]) -> DualEncoder:
    tensors = checkpoint.weights()
    is_hypencoder = bool((values["query_encoder_kwargs"] or {}).get("converter_kwargs"))
    config_class = HypencoderConfig if is_hypencoder else BiEncoderConfig
    known = {key: value for key, value in values.items() if key not in ("model_type", "auto_map")}
    config: DualEncoderConfig = config_class(**known)
    if config.base_config is None:
        config.base_config = _find_base(checkpoint, config.query_encoder_kwargs, tensors, "query")
        if not config.shared_encoder:
            passage = _find_base(checkpoint, config.passage_encoder_kwargs, tensors, "passage")
            config.passage_base_config = None if passage == config.base_config else passage
    with no_init_weights():
        model = HypencoderDualEncoder(config) if is_hypencoder else BiEncoder(config)
    fill_model(model, tensors, checkpoint.name)
    return model


def _find_base(
    checkpoint: Checkpoint,
    kwargs: Mapping[str, Any] | None,
    tensors: Mapping[str, Tensor],
    side: str,
) -> dict[str, Any]:
    """Find the configuration of a base transformer that the checkpoint only names.

    It is looked for in a folder of that name (in or beside the checkpoint, or from the working
    directory), then in the hub's cache, on the hub, and at last read off the weights.
    """
    name = (kwargs or {}).get("model_name_or_path") or ""
    if name:
        for parent in (checkpoint.folder, checkpoint.folder.resolve().parent, Path()):
            if (parent / name / "config.json").is_file():
                return base_config_dict(AutoConfig.from_pretrained(parent / name))
        try:
            return base_config_dict(AutoConfig.from_pretrained(Checkpoint(name).folder))
        except (ModelError, OSError, ValueError) as error:
            logger.debug("No configuration of %s: %s", name, error)
    prefix = f"{side}_encoder.transformer."
    if not any(key.startswith(prefix) for key in tensors):  # a shared encoder may be kept once
        prefix = "passage_encoder.transformer." if side == "query" else "query_encoder.transformer."
    config = _read_off(
        {key.removeprefix(prefix): t for key, t in tensors.items() if key.startswith(prefix)}
    )
    if config is None:
        raise ModelError(
            f"the configuration of the base model {name or '(unnamed)'} of {checkpoint.name} "
            f"cannot be found or read off its weights: put its config.json into "
            f"{checkpoint.folder / (Path(name).name or 'base')}."
        )
    logger.info("The configuration of %s was read off the weights.", name or "the base model")
    return base_config_dict(config)


def _read_off(tensors: Mapping[str, Tensor]) -> PreTrainedConfig | None:
    """A BERT's configuration by the shapes of its weights, or None where they do not tell it.

    What shapes do not show is taken to be as in all of BERT's sizes: heads of 64 dimensions,
    gelu, layer norms with eps 1e-12.
    """
    try:
        vocabulary, hidden = tensors["embeddings.word_embeddings.weight"].shape
        positions = tensors["embeddings.position_embeddings.weight"].shape[0]
        types = tensors["embeddings.token_type_embeddings.weight"].shape[0]
        intermediate = tensors["encoder.layer.0.intermediate.dense.weight"].shape[0]
    except KeyError:
        return None
    if hidden % 64:
        return None
    layers = 1 + max(int(k.split(".")[2]) for k in tensors if k.startswith("encoder.layer."))
    return BertConfig(
        vocab_size=vocabulary,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=hidden // 64,
        intermediate_size=intermediate,
        max_position_embeddings=positions,
        type_vocab_size=types,
    )


def _load_plain_encoder(checkpoint: Checkpoint) -> BiEncoder:
    """Load any encoder of transformers, with the pooling that sentence-transformers noted."""
    checkpoint.weights()  # says clearly what is wrong with a damaged file
    try:
        base, info = AutoModel.from_pretrained(
            checkpoint.folder, output_loading_info=True, trust_remote_code=False, dtype="float32"
        )
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ModelError(
            f"{checkpoint.name} is no encoder that transformers reads: {reason}"
        ) from error
    missing = [key for key in info["missing_keys"] if not key.startswith("pooler.")]
    if missing:
        raise ModelError(f"{checkpoint.name} lacks the weights {sorted(missing)[0]}.")
    if not hasattr(base.config, "hidden_size"):
        raise ModelError(
            f"{checkpoint.name} is no BERT-like encoder: its config has no hidden_size."
        )
    pooling, normalize = _sentence_pooling(checkpoint)
    noted = checkpoint.json("sentence_bert_config.json") or {}
    config = BiEncoderConfig.from_base(
        base.config,
        pooling=pooling,
        name=checkpoint.name,
        normalize=normalize,
        **({"document_max_length": noted["max_seq_length"]} if noted.get("max_seq_length") else {}),
    )
    with no_init_weights():
        model = BiEncoder(config)
    state = {f"query_encoder.transformer.{key}": t for key, t in base.state_dict().items()}
    fill_model(model, state, checkpoint.name)
    return model


def _sentence_pooling(checkpoint: Checkpoint) -> tuple[str, bool]:
    """(pooling, normalize) as sentence-transformers keeps them; cls and False where it did not."""
    modules = [str(module.get("type")) for module in checkpoint.json("modules.json") or []]
    for module in modules:
        if module.rsplit(".", 1)[-1] not in ("Transformer", "Pooling", "Normalize"):
            raise ModelError(f"{checkpoint.name} has a {module} layer, which is not supported.")
    noted = checkpoint.json("1_Pooling/config.json") or {}
    pooling = "mean" if noted.get("pooling_mode_mean_tokens") else "cls"
    if noted and pooling == "cls" and not noted.get("pooling_mode_cls_token"):
        raise ModelError(f"{checkpoint.name}'s pooling is neither cls nor mean: not supported.")
    return pooling, any(module.endswith("Normalize") for module in modules)


def _load_tokenizer(checkpoint: Checkpoint, config: DualEncoderConfig) -> Any:
    """The checkpoint's tokenizer, or else its base model's."""
    base = (config.query_encoder_kwargs or {}).get("model_name_or_path") or ""
    places: list[Path] = [checkpoint.folder]
    if base:
        places += [checkpoint.folder / base, checkpoint.folder.resolve().parent / base]
    for place in places:
        if any((place / file).is_file() for file in _TOKENIZER_MARKS):
            return _read_tokenizer(place, config)
    if base:
        try:
            on_hub = Checkpoint(base)
            on_hub.fetch_small_files()
            return _read_tokenizer(on_hub.folder, config)
        except ModelError as error:
            logger.debug("No tokenizer of %s: %s", base, error)
    raise ModelError(
        f"{checkpoint.name} has no tokenizer, and that of its base model "
        f"{base or '(unnamed)'} cannot be had: put its tokenizer.json into {checkpoint.folder}."
    )


def _read_tokenizer(folder: Path, config: DualEncoderConfig) -> Any:
    try:
        return AutoTokenizer.from_pretrained(
            folder, config=config.transformer_config(), trust_remote_code=False
        )
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ModelError(f"the tokenizer in {folder} cannot be read ({reason}).") from error
