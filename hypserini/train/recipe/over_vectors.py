"""A model over document vectors that are there already: only its query side is made."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor

from hypserini.errors import TrainingError
from hypserini.modeling import DualEncoder, HypencoderDualEncoder, QNetConfig, q_net_config
from hypserini.modeling.bi_encoder import BiEncoder, BiEncoderConfig, VectorQueryEncoder
from hypserini.modeling.configuration import HypencoderConfig
from hypserini.modeling.projections import projected_width
from hypserini.train.data.passage_vectors import Recorded
from hypserini.train.recipe.config import ModelSection

BLOCKS = 2
"""Hidden blocks of the q-net where the configuration does not say."""


class Base(NamedTuple):
    """A transformer to begin with: its configuration, and where its weights come from, if any."""

    config: Any
    pretrained: DualEncoder | None


def make_over_vectors(
    section: ModelSection, base: Base, name: str, recorded: Recorded, lengths: dict[str, Any]
) -> DualEncoder:
    """Make the model, its query vector as the pretrained bi-encoder makes it.

    Args:
        section: what describes it.
        base: the query side's transformer, whose weights are left to the caller.
        name: what that is called.
        recorded: of the encoder that made the vectors.
        lengths: further keys of the model's configuration.

    Raises:
        TrainingError: the q-net scores vectors of another dimension.
    """
    pooling, projections, weights = _query_vector(section, base, recorded)
    query_prefix = base.pretrained.config.query_prefix if base.pretrained else ""
    shared: dict[str, Any] = {
        "pooling": recorded.settings.pooling or "cls",
        "shared_encoder": False,
        "name": name,
        "query_prefix": query_prefix,
        "document_prefix": recorded.settings.document_prefix or "",
        "passage_vectors": {
            "model": recorded.model,
            "fingerprint": recorded.fingerprint,
            "dimension": recorded.dimension,
        },
        **lengths,
    }
    model: DualEncoder
    if section.model_type == "biencoder":
        bi_encoder = BiEncoderConfig.from_base(base.config, projections=projections, **shared)
        _kwargs(bi_encoder.query_encoder_kwargs)["pooling_type"] = pooling
        model = BiEncoder(bi_encoder)
        made: Any = model.query_encoder.projections
    else:
        kwargs = section.query_encoder_kwargs.get("converter_kwargs")
        widths = (recorded.dimension,) * (BLOCKS + 1) + (1,)
        q_net = q_net_config(kwargs) if kwargs else QNetConfig(widths, add_query_vector=True)
        if q_net.dim != recorded.dimension:
            raise TrainingError(
                f"the q-net of converter_kwargs scores vectors of {q_net.dim} dimensions, but "
                f"those of {recorded.model} have {recorded.dimension}: mend vector_dimensions."
            )
        config = HypencoderConfig.from_base(base.config, q_net, **shared)
        _kwargs(config.query_encoder_kwargs).update(nested_of(section))
        _kwargs(config.query_encoder_kwargs)["query_vector"] = {
            "pooling_type": pooling,
            "projections": projections,
        }
        model = HypencoderDualEncoder(config)
        made = getattr(model.query_encoder.query_vector, "projections", None)
    _kwargs(model.config.passage_encoder_kwargs)["model_name_or_path"] = recorded.model
    if made is not None:
        made.load_state_dict(weights, strict=False)  # what bridges two widths is new
    return model


def nested_of(section: ModelSection) -> dict[str, Any]:
    """The sizes that are trained beside the whole q-net, as the model's configuration has them."""
    nested = section.query_encoder_kwargs.get("nested")
    return {"nested": sorted(set(nested))} if nested else {}


def check_vectors(model: DualEncoder, recorded: Recorded | None, source: str) -> None:
    """Refuse a checkpoint that belongs to other vectors than are trained over.

    Raises:
        TrainingError: says which.
    """
    known = model.config.passage_vectors
    if recorded is None:
        if known:
            raise TrainingError(
                f"{source}: the checkpoint {model.name or 'to begin with'} was trained over the "
                f"vectors of {known.get('model')} and has no document encoder: name "
                "passage_vectors."
            )
        return
    if model.dim != recorded.dimension or model.fingerprint != recorded.fingerprint:
        raise TrainingError(
            f"{source}: the checkpoint scores vectors of {model.dim} dimensions by "
            f"{known.get('model') if known else 'its own encoder'}, and passage_vectors are of "
            f"{recorded.dimension} by {recorded.model}: name a checkpoint of that encoder."
        )


def _query_vector(
    section: ModelSection, base: Base, recorded: Recorded
) -> tuple[str, list[dict[str, Any]], dict[str, Tensor]]:
    """How the query's vector is pooled, what follows, and the weights of that."""
    encoder = base.pretrained.query_encoder if base.pretrained else None
    weights: dict[str, Tensor] = {}
    if isinstance(encoder, VectorQueryEncoder):
        pooling, projections = encoder.pooling, list(encoder.described)
        weights, normalize = encoder.projections.state_dict(), encoder.normalize
    else:
        given = section.query_encoder_kwargs.get("pooling_type")
        pooling, projections = given or recorded.settings.pooling or "cls", []
        normalize = bool(recorded.settings.l2_norm)
    if normalize:
        projections.append({"type": "normalize"})
    width = projected_width(base.config.hidden_size * len(pooling.split("+")), projections)
    if width != recorded.dimension:
        dense = {"in_features": width, "out_features": recorded.dimension, "bias": False}
        projections.append({"type": "dense", "activation": "Identity", "residual": False, **dense})
    return pooling, projections, weights


def _kwargs(values: dict[str, Any] | None) -> dict[str, Any]:
    assert values is not None
    return values
