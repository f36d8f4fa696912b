"""YAML in which nothing can do more than be wrong: no objects, no bombs, one kind of error."""

from __future__ import annotations

from typing import Any

import yaml

from hypserini.errors import shorten
from hypserini.formats.values import Malformed

LARGEST = 1 << 20
"""Bytes of a configuration."""
_MOST_VALUES = 100_000
_DEEPEST = 50


def parse_yaml(text: str) -> Any:
    """Return the value of a YAML document; None for an empty one.

    Raises:
        Malformed: it is no YAML, holds a value that its own syntax does not make one
            (`2020-13-45`), is nested too deeply, or grows beyond measure by its aliases.
    """
    loader = None
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _count(node, {}, 0)
        return loader.construct_document(node)
    except Malformed:
        raise
    except RecursionError as error:
        raise Malformed("no YAML: it is nested too deeply.") from error
    except yaml.YAMLError as error:
        raise Malformed(f"no YAML: {shorten(' '.join(str(error).split()), 240)}.") from error
    except Exception as error:
        # What looks like a date or a number goes to Python's own conversions, which raise theirs.
        raise Malformed(
            f"no YAML: a value in it is none of its kind ({shorten(str(error), 120)}): quote it."
        ) from error
    finally:
        if loader is not None:
            loader.dispose()


def _count(node: Any, known: dict[int, int], depth: int) -> int:
    """How many values a node stands for, each alias counted as what it repeats."""
    if depth > _DEEPEST:
        raise Malformed("no YAML: it is nested too deeply.")
    if id(node) in known:
        if known[id(node)] < 0:
            raise Malformed("no YAML: an alias is part of what it stands for.")
        return known[id(node)]
    known[id(node)] = -1
    total = 1
    if not isinstance(node.value, str):
        for child in node.value:
            for each in child if isinstance(child, tuple) else (child,):
                total += _count(each, known, depth + 1)
    if total > _MOST_VALUES:
        raise Malformed(f"no YAML: its aliases stand for more than {_MOST_VALUES:,} values.")
    known[id(node)] = total
    return total
