"""The prompts of sentence-transformers' folders: what stands before queries and documents."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from hypserini.errors import ModelError

logger = logging.getLogger(__name__)

_QUERY = ("query",)
_DOCUMENT = ("document", "passage", "corpus")


def read_prompts(noted: Mapping[str, Any], source: str) -> tuple[str, str]:
    """What config_sentence_transformers.json puts before queries and before documents.

    A side without a prompt of its own gets the one that `default_prompt_name` names, unless that
    belongs to the other side.

    Args:
        noted: the contents of the file.
        source: what to call the model in messages.

    Raises:
        ModelError: the prompts are no texts by name, or the default is none of them.
    """
    prompts = noted.get("prompts") or {}
    if not isinstance(prompts, Mapping) or not all(
        isinstance(prompt, str | None) for prompt in prompts.values()
    ):
        raise ModelError(
            f"{source}: the prompts in config_sentence_transformers.json are no texts."
        )
    default = noted.get("default_prompt_name")
    if default is not None and (not isinstance(default, str) or default not in prompts):
        raise ModelError(
            f"{source} names {default!r} as its default prompt, and has none of that name: mend"
            " config_sentence_transformers.json."
        )
    query = _prompt(prompts, _QUERY, default, _DOCUMENT)
    document = _prompt(prompts, _DOCUMENT, default, _QUERY)
    if query or document:
        logger.info("%s puts %r before queries, %r before documents", source, query, document)
    elif others := [name for name, prompt in prompts.items() if prompt]:
        logger.warning(
            "%s has prompts for %s, of which none is called query or document: choose one with"
            " --query-prefix and --doc-prefix",
            source,
            ", ".join(others[:5]),
        )
    return query, document


def _prompt(
    prompts: Mapping[str, str | None],
    names: Sequence[str],
    default: str | None,
    others: Sequence[str],
) -> str:
    own = [prompts[name] or "" for name in names if name in prompts]
    if not own and default is not None and default not in others:
        own = [prompts[default] or ""]
    return next(filter(None, own), "")
