"""Encoders that transformers or sentence-transformers saved, served as bi-encoders."""

from __future__ import annotations

import logging
from typing import Any

from torch import Tensor
from transformers import PreTrainedConfig
from transformers.initialization import no_init_weights

from hypserini.errors import ModelError
from hypserini.modeling.bi_encoder import BiEncoder, BiEncoderConfig
from hypserini.modeling.checkpoints import Checkpoint
from hypserini.modeling.configuration import DOCUMENT_MAX_LENGTH
from hypserini.modeling.dpr import read_dpr
from hypserini.modeling.filling import fill_model
from hypserini.modeling.foreign_weights import load_transformer
from hypserini.modeling.pooling import check_pooling
from hypserini.modeling.probing import check_first_token
from hypserini.modeling.safe_config import model_type_of, transformer_config
from hypserini.modeling.sentence_transformers import SentenceFolder, read_sentence_folder
from hypserini.modeling.tokenizers import lower_case, read_tokenizer
from hypserini.modeling.transformer import is_encoder_decoder
from hypserini.settings import EncodingSettings

logger = logging.getLogger(__name__)

_ANY_LENGTH = 10**9
"""Tokenizers without a limit say a number above this."""


def load_plain_encoder(checkpoint: Checkpoint, settings: EncodingSettings) -> BiEncoder:
    """Load an encoder, with what its folder and the user say of it.

    Raises:
        ModelError: the folder is damaged, or says something that is not supported.
    """
    folder = read_sentence_folder(checkpoint, settings.l2_norm)
    part = checkpoint.part(folder.transformer)
    if part.file("adapter_config.json"):
        raise ModelError(
            f"{checkpoint.name} has an adapter (adapter_config.json), which is not supported: merge"
            " it into the weights."
        )
    values, tensors, encodes = part.config() | folder.config, part.weights(), ""
    if model_type_of(values) == "dpr":
        values, tensors, projection, encodes = read_dpr(values, tensors, checkpoint.name)
        folder.pooling = folder.pooling or "cls"
        if projection:
            _put_first(folder, projection)
    config = transformer_config(values, f"{checkpoint.name}'s config.json")
    is_guess = _settle(folder, settings, config, checkpoint.name)
    base = load_transformer(config, tensors, checkpoint.name)
    part.fetch_small_files()
    tokenizer = read_tokenizer(part.folder, base.config)
    if folder.lower_case:
        lower_case(tokenizer)
    bi_encoder = BiEncoderConfig.from_base(
        base.config,
        pooling=str(folder.pooling),
        name=checkpoint.name,
        normalize=folder.normalize,
        projections=folder.projections or None,
        query_prefix=folder.query_prefix,
        document_prefix=folder.document_prefix,
        lower_case=folder.lower_case,
        encodes=encodes,
        **_lengths(folder, tokenizer),
    )
    with no_init_weights():
        model = BiEncoder(bi_encoder)
    state = {f"query_encoder.transformer.{key}": t for key, t in base.state_dict().items()}
    state |= {f"query_encoder.projections.{key}": t for key, t in folder.weights.items()}
    fill_model(model, state, checkpoint.name)
    model.tokenizer, model.name = tokenizer, checkpoint.name
    check_first_token(model.eval())
    if is_guess:
        logger.warning(
            "%s does not say how it is pooled, so cls is assumed: give --pooling mean if it was"
            " trained so, as Contriever and E5 were",
            checkpoint.name,
        )
    return model


def _settle(
    folder: SentenceFolder, settings: EncodingSettings, config: PreTrainedConfig, source: str
) -> bool:
    """Put what the user says before what the folder says; whether the pooling is but a guess."""
    if not isinstance(getattr(config, "hidden_size", None), int):
        raise ModelError(f"{source} is no BERT-like encoder: its config has no hidden_size.")
    is_guess = settings.pooling is None and folder.pooling is None
    if settings.pooling is not None:
        asked = check_pooling(settings.pooling)
        if folder.pooling not in (None, asked):
            logger.info("%s is pooled by %s and not by %s", source, asked, folder.pooling)
        folder.pooling = asked
    elif is_guess:
        if is_encoder_decoder(config):
            raise ModelError(
                f"{source} is an encoder-decoder ({config.model_type}) whose folder does not say"
                " how its encoder's states are pooled: give --pooling mean if that is how it was"
                " trained."
            )
        folder.pooling = "cls"
    if settings.l2_norm is not None:
        folder.normalize = settings.l2_norm
    if settings.query_prefix is not None:
        folder.query_prefix = settings.query_prefix
    if settings.document_prefix is not None:
        folder.document_prefix = settings.document_prefix
    if not folder.pools_prefix and (folder.query_prefix or folder.document_prefix):
        raise ModelError(
            f"{source} leaves its prompt out of the pooling (include_prompt), which is not"
            " supported."
        )
    return is_guess


def _put_first(folder: SentenceFolder, weights: dict[str, Tensor]) -> None:
    """Let DPR's own projection follow the pooling."""
    out, width = weights["0.linear.weight"].shape
    if folder.projections:
        raise ModelError("DPR's projection before those of modules.json is not supported.")
    shape = {"in_features": width, "out_features": out}
    folder.projections = [{"type": "dense", "activation": "Identity", **shape}]
    folder.weights = weights


def _lengths(folder: SentenceFolder, tokenizer: Any) -> dict[str, Any]:
    """Tokens that a query and a document are cut to: nothing makes a plain encoder's differ."""
    told = getattr(tokenizer, "model_max_length", None) or DOCUMENT_MAX_LENGTH
    if not folder.is_noted or told > _ANY_LENGTH:
        told = min(told, DOCUMENT_MAX_LENGTH)
    return {
        "query_max_length": folder.query_max_length or told,
        "document_max_length": folder.document_max_length or told,
    }
