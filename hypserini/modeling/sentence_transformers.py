"""What sentence-transformers notes in a model's folder beside the transformer itself.

`modules.json` names the modules, each with a folder of its own: the transformer, its pooling, and
what follows. Files of before version 5.4 say `"pooling_mode_mean_tokens": true`, later ones
`"pooling_mode": "mean"`. Whatever would change the vectors is honoured or refused by its name.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from hypserini.errors import ModelError
from hypserini.modeling.checkpoints import Checkpoint
from hypserini.modeling.pooling import check_pooling
from hypserini.modeling.projections import ACTIVATIONS
from hypserini.modeling.sentence_prompts import read_prompts

logger = logging.getLogger(__name__)

_PACKAGE = "sentence_transformers."
# The first releases had a class for each kind of transformer.
_TRANSFORMERS = "Transformer BERT RoBERTa DistilBERT ALBERT XLNet XLMRoBERTa CamemBERT T5".split()
_TRANSFORMER_FILES = tuple(
    f"sentence_{kind}_config.json"
    for kind in "bert roberta distilbert camembert albert xlm-roberta xlnet".split()
)
# In the order in which their vectors are concatenated.
_OLD_POOLINGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
_OLD_ARGUMENTS = {
    "model_args": "model_kwargs",
    "tokenizer_args": "processor_kwargs",
    "config_args": "config_kwargs",
}
# They say how a model is loaded, and change no vector.
_HARMLESS = frozenset(
    "trust_remote_code revision token cache_dir local_files_only use_safetensors use_fast dtype"
    " torch_dtype attn_implementation add_pooling_layer low_cpu_mem_usage device_map"
    " padding_side model_max_length".split()
)


@dataclass
class SentenceFolder:
    """What a folder says of how its transformer's states become vectors.

    Attributes:
        is_noted: there is a modules.json.
        transformer: the folder of the transformer within, "" for the folder itself.
        pooling: see `pooling.pool`; None where the folder does not say it.
        pools_prefix: the tokens of the prefix are pooled as well.
        projections: what follows, see `projections`.
        weights: of the projections, by the names that `make_projections` gives them.
        normalize: vectors get length 1.
        query_prefix: put before every query.
        document_prefix: put before every document.
        lower_case: texts are lowered, whatever the tokenizer does.
        query_max_length: tokens that a query is cut to; None where the folder does not say it.
        document_max_length: tokens that a document is cut to.
        config: what goes before the values of the transformer's config.json.
    """

    is_noted: bool = False
    transformer: str = ""
    pooling: str | None = None
    pools_prefix: bool = True
    projections: list[dict[str, Any]] = field(default_factory=list)
    weights: dict[str, Tensor] = field(default_factory=dict)
    normalize: bool = False
    query_prefix: str = ""
    document_prefix: str = ""
    lower_case: bool = False
    query_max_length: int | None = None
    document_max_length: int | None = None
    config: dict[str, Any] = field(default_factory=dict)


def read_sentence_folder(checkpoint: Checkpoint, l2_norm: bool | None = None) -> SentenceFolder:
    """Read all that sentence-transformers notes.

    Args:
        checkpoint: the folder; one without such notes says nothing.
        l2_norm: what the user wants of the vectors' lengths, if anything.

    Raises:
        ModelError: the notes are malformed, or name something that is not supported.
    """
    folder = SentenceFolder()
    modules = checkpoint.json("modules.json")
    if modules is not None:
        folder.is_noted = True
        _read_modules(checkpoint, modules, folder)
    elif checkpoint.file("1_Pooling/config.json"):
        folder.pooling, _ = _read_pooling(checkpoint, "1_Pooling")
    _read_transformer(checkpoint, folder)
    noted = checkpoint.object("config_sentence_transformers.json") or {}
    kind = noted.get("model_type") or "SentenceTransformer"
    if kind != "SentenceTransformer":
        raise ModelError(
            f"{checkpoint.name} is a {kind} of sentence-transformers, and no encoder that makes one"
            " vector of a text: give a SentenceTransformer."
        )
    folder.query_prefix, folder.document_prefix = read_prompts(noted, checkpoint.name)
    _read_similarity(noted.get("similarity_fn_name"), folder, l2_norm, checkpoint.name)
    return folder


def _read_modules(checkpoint: Checkpoint, modules: Any, folder: SentenceFolder) -> None:
    if not isinstance(modules, list) or not all(isinstance(m, Mapping) for m in modules):
        raise ModelError(f"{checkpoint.name}'s modules.json is no list of modules: fetch it again.")
    for number, module in enumerate(modules):
        kind = str(module.get("type"))
        name = kind.rsplit(".", 1)[-1] if kind.startswith(_PACKAGE) else None
        if name in _TRANSFORMERS and number == 0:
            folder.transformer = str(module.get("path") or "")
            continue
        path = str(module.get("path") or f"{number}_{name}")
        if number == 0:
            raise _unsupported(checkpoint, kind, "the first module has to be a Transformer")
        if name == "Pooling" and number == 1:
            folder.pooling, folder.pools_prefix = _read_pooling(checkpoint, path)
        elif name == "Dense" and folder.pooling:
            _read_dense(checkpoint, path, kind, folder)
        elif name == "LayerNorm" and folder.pooling:
            described = _needed(checkpoint, path, kind)
            _add(folder, {"type": "layer_norm", "dimension": described.get("dimension")})
            _add_weights(checkpoint, path, folder)
        elif name == "Normalize" and folder.pooling:
            _add(folder, {"type": "normalize"})
        elif name != "Dropout":  # which does nothing where nothing is trained
            raise _unsupported(checkpoint, kind)
    if folder.pooling is None:
        raise ModelError(f"{checkpoint.name}'s modules.json names no Pooling: not supported.")
    if folder.projections and folder.projections[-1]["type"] == "normalize":
        folder.projections.pop()
        folder.normalize = True


def _unsupported(checkpoint: Checkpoint, kind: str, why: str = "") -> ModelError:
    return ModelError(
        f"{checkpoint.name} has a {kind} layer (modules.json), which is not supported"
        f"{': ' + why if why else ''}."
    )


def _needed(checkpoint: Checkpoint, path: str, kind: str) -> dict[str, Any]:
    """The config.json of a module.

    Raises:
        ModelError: it is missing.
    """
    values = checkpoint.part(path).object("config.json")
    if values is None:
        raise ModelError(
            f"{checkpoint.name} has a {kind} layer (modules.json), and no {path}/config.json that"
            " describes it: fetch the folder again."
        )
    return values


def _read_pooling(checkpoint: Checkpoint, path: str) -> tuple[str, bool]:
    """(pooling, whether the prompt's tokens are pooled too), in either schema."""
    noted = _needed(checkpoint, path, "Pooling")
    where = f"{checkpoint.name}/{path}/config.json"
    modes = noted.get("pooling_mode")
    if modes is None:
        chosen = [key for key, on in noted.items() if key.startswith("pooling_mode_") and on]
        unknown = [key for key in chosen if key not in _OLD_POOLINGS]
        if unknown:
            raise ModelError(f"{where}: {unknown[0]} is no pooling that is supported.")
        modes = [mode for key, mode in _OLD_POOLINGS.items() if key in chosen] or ["mean"]
    names = [modes] if isinstance(modes, str) else modes
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ModelError(f"{where}: its pooling_mode {modes!r} is no name of a pooling.")
    try:
        pooling = check_pooling("+".join(names))
    except ModelError as error:
        raise ModelError(f"{where}: {error}") from error
    return pooling, noted.get("include_prompt") is not False


def _read_dense(checkpoint: Checkpoint, path: str, kind: str, folder: SentenceFolder) -> None:
    noted = _needed(checkpoint, path, kind)
    inputs = noted.get("module_input_name", "sentence_embedding")
    if {inputs, noted.get("module_output_name") or inputs} != {"sentence_embedding"}:
        raise _unsupported(checkpoint, kind, f"it projects {inputs} and not the text's vector")
    activation = noted.get("activation_function", "torch.nn.modules.activation.Tanh")
    short = str(activation).rsplit(".", 1)[-1]
    if not str(activation).startswith("torch.nn.") or short not in ACTIVATIONS:
        raise _unsupported(checkpoint, kind, f"its activation is {activation}")
    described = {
        "type": "dense",
        "in_features": noted.get("in_features"),
        "out_features": noted.get("out_features"),
        "bias": bool(noted.get("bias", True)),
        "activation": short,
        "residual": bool(noted.get("use_residual", False)),
    }
    _add(folder, described)
    _add_weights(checkpoint, path, folder)


def _add(folder: SentenceFolder, described: dict[str, Any]) -> None:
    for key in ("in_features", "out_features", "dimension"):
        if key in described and not isinstance(described[key], int):
            raise ModelError(f"a {described['type']} layer's config.json has no {key}.")
    folder.projections.append(described)


def _add_weights(checkpoint: Checkpoint, path: str, folder: SentenceFolder) -> None:
    """Take in the weights of the module that was added last."""
    number = len(folder.projections) - 1
    for name, tensor in checkpoint.part(path).weights().items():
        folder.weights[f"{number}.{name}"] = tensor


def _read_transformer(checkpoint: Checkpoint, folder: SentenceFolder) -> None:
    """Read the notes on the transformer, which lie beside its config.json."""
    part = checkpoint.part(folder.transformer)
    names = _TRANSFORMER_FILES if checkpoint.file("modules.json") else _TRANSFORMER_FILES[:1]
    noted: dict[str, Any] = next((found for name in names if (found := part.object(name))), {})
    task = noted.get("transformer_task", "feature-extraction")
    modalities = noted.get("modality_config")
    text = modalities.get("text") if isinstance(modalities, Mapping) else None
    default = "last_hidden_state"
    output = text.get("method_output_name", default) if isinstance(text, Mapping) else default
    if task != "feature-extraction" or output != "last_hidden_state":
        raise ModelError(
            f"{checkpoint.name} is made for {task} and takes the {output} of its transformer, which"
            " is not supported."
        )
    for key in ("query_expansion", "processing_kwargs"):
        if noted.get(key):
            raise ModelError(f"{checkpoint.name} asks for {key}, which is not supported.")
    arguments = {_OLD_ARGUMENTS.get(k, k): v for k, v in noted.items() if isinstance(v, Mapping)}
    for key in ("model_kwargs", "processor_kwargs"):
        unknown = set(arguments.get(key, ())) - _HARMLESS
        if unknown:
            raise ModelError(
                f"{checkpoint.name} asks for {sorted(unknown)[0]} in its {key}, which is not"
                " supported."
            )
    own = arguments.get("config_kwargs", {})
    folder.config |= {key: value for key, value in own.items() if key not in _HARMLESS}
    folder.lower_case = bool(noted.get("do_lower_case"))
    both = noted.get("max_seq_length") or arguments.get("processor_kwargs", {}).get(
        "model_max_length"
    )
    folder.query_max_length = _length(noted.get("query_length") or both, checkpoint)
    folder.document_max_length = _length(noted.get("document_length") or both, checkpoint)


def _length(value: Any, checkpoint: Checkpoint) -> int | None:
    if value is not None and (not isinstance(value, int) or value < 1):
        raise ModelError(f"{checkpoint.name}: the max_seq_length {value!r} is no number of tokens.")
    return value


def _read_similarity(
    name: str | None, folder: SentenceFolder, l2_norm: bool | None, source: str
) -> None:
    if folder.normalize or l2_norm is not None or name in (None, "dot", "dot_score"):
        return
    if name not in ("cosine", "cos_sim"):
        raise ModelError(
            f"{source} ranks by {name} (similarity_fn_name), and vectors are compared by inner"
            " product here: give --l2-norm or --no-l2-norm to search by that."
        )
    logger.info("%s ranks by cosine: its vectors get length 1", source)
    folder.normalize = True
