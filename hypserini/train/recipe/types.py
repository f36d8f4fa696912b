"""Whether a value of a configuration is of the type that its section's annotation names."""

from __future__ import annotations

from types import NoneType, UnionType
from typing import Any, get_args, get_origin

_WORDS = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    dict: "a mapping",
    list: "a list",
}


def fits(value: object, hint: Any) -> bool:
    """Whether `value` is of the type; whole numbers are numbers, but true and false are not."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin is UnionType:
        return any(fits(value, each) for each in arguments)
    if origin is list:
        return isinstance(value, list) and all(fits(each, arguments[0]) for each in value)
    if origin is dict:
        return isinstance(value, dict) and all(
            fits(key, arguments[0]) and fits(each, arguments[1]) for key, each in value.items()
        )
    if hint in (int, float):
        return isinstance(value, int | hint) and not isinstance(value, bool)
    return isinstance(value, hint)


def describe(hint: Any) -> str:
    """The type in words: "a text or a list"."""
    each = get_args(hint) if get_origin(hint) is UnionType else (hint,)
    kinds = (get_origin(kind) or kind for kind in each if kind is not NoneType)
    return " or ".join(dict.fromkeys(_WORDS.get(kind, "a mapping") for kind in kinds))
