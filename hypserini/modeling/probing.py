"""Tries a loaded model on a few texts, so that one that cannot encode fails at once."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from hypserini.errors import ModelError
from hypserini.modeling.dual_encoder import DualEncoder, PassageEncoder
from hypserini.modeling.recorded import RecordedEncoder
from hypserini.modeling.tokenizing import pad, padding_id, tokenize

logger = logging.getLogger(__name__)

LONGEST = 512
"""Tokens of the long text, where the model reads as many: a limit is in its table of positions."""

PADS_MAY_CHANGE = 2e-2
"""Of the largest component; what heeds no mask changes more."""


class _Reached(Exception):
    """The first layer has been passed."""


def check_encoding(model: DualEncoder) -> None:
    """Encode two short texts, and one of maximal length as far as behind the first layer.

    Behind that a transformer has no more to do with positions, so the long text costs little.

    Raises:
        ModelError: the model cannot encode.
    """
    length = min(max(model.query_max_length, model.document_max_length), LONGEST)
    with _explained(model):
        ids, mask = _inputs(model, ["a 1", "of 2 words"])
        vectors = _vectors(model, ids, mask)
        alone = _vectors(model, *_inputs(model, ["a 1"]))
        long = torch.full((1, length), int(ids.max()), device=model.device)
        for transformer in dict.fromkeys(model.transformers):
            _pass_first_layer(transformer, long, torch.ones_like(long))
    change = float((vectors[0] - alone[0]).abs().max() / alone.abs().max())
    tells = model.dtype is torch.float32 and "mean_with_pads" not in model.pooling
    if tells and change > PADS_MAY_CHANGE:
        logger.warning(
            "%s (%s) does not heed which tokens are padding, so its vectors depend on the batch:"
            " give --batch-size 1",
            model.name,
            (model.config.base_config or {}).get("model_type", "transformer"),
        )


def _vectors(model: DualEncoder, ids: Tensor, mask: Tensor) -> Tensor:
    """What the model makes of texts: document vectors, or else its queries' last weights."""
    if isinstance(model.passage_encoder, RecordedEncoder):
        q_net = model.encode_queries(ids, mask)
        return next(reversed(q_net.tensors().values())).flatten(1).float()
    return model.encode_documents(ids, mask).float()


def check_first_token(model: DualEncoder) -> None:
    """Refuse a model that takes the first token's state for the text although it reads onwards.

    Raises:
        ModelError: the first token's state is the same whatever follows it, as in a decoder; or
            the model cannot encode.
    """
    if "cls" not in model.pooling.split("+"):
        return
    assert isinstance(model.passage_encoder, PassageEncoder)
    with _explained(model):
        ids, mask = _inputs(model, ["a 1", "a of 2 words"])
        transformer = model.passage_encoder.transformer
        states = transformer(input_ids=ids, attention_mask=mask).last_hidden_state[:, 0]
    differ = ids[0, 0] == ids[1, 0] and not torch.equal(ids[0], ids[1])
    if differ and torch.allclose(states[0], states[1], rtol=0, atol=3e-6):
        kind = model.passage_encoder.base_config.model_type
        raise ModelError(
            f"the model {model.name} ({kind}) reads its texts from the first token to the last, so"
            " that the first one's state (cls) says nothing of them: give --pooling lasttoken or"
            " mean, as it was trained."
        )


@contextmanager
def _explained(model: DualEncoder) -> Iterator[None]:
    """Turn whatever a transformer, or its device, raises into one sentence."""
    try:
        with torch.no_grad():  # not inference_mode: what a model keeps, training may need
            yield
    except ModelError:
        raise
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise ModelError(
            f"the model {model.name} cannot encode a text ({type(error).__name__}: {reason}): its"
            " kind of transformer is not supported, or its tokenizer belongs to another."
        ) from error


def _inputs(model: DualEncoder, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Token ids and attention mask [n, length], on the model's device."""
    vocabulary = model.vocabulary_size
    rows = tokenize(model.tokenizer, texts, model.document_max_length, vocabulary=vocabulary).rows
    ids, mask = pad(rows, padding_id(model.tokenizer, vocabulary))
    return ids.to(model.device), mask.to(model.device)


def _pass_first_layer(transformer: nn.Module, ids: Tensor, mask: Tensor) -> None:
    """Run a transformer on [1, length] as far as behind its first layer."""

    def stop(*_: object) -> None:
        raise _Reached

    layers = (m for m in transformer.modules() if isinstance(m, nn.ModuleList) and len(m))
    first = next(layers, None)
    hook = first[0].register_forward_hook(stop) if first is not None else None
    try:
        transformer(input_ids=ids, attention_mask=mask)
    except _Reached:
        pass
    finally:
        if hook is not None:
            hook.remove()
