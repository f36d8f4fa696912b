"""Strange files: valid ones with faults in them, and others made of odd values from the start."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from random import Random

from fuzz.readers import Reader

# What has broken readers before, theirs or ours.
# fmt: off
ODD = (
    b"\xef\xbb\xbf", b"\xff", b"\x00", b"\r", b"\r\n", b"\n", b"\n\n", b"\t", b" ", b"\x0b",
    b"\x1c", b"\xc2\x85", b"\xc2\xa0", b"\xe2\x80\xa8", b"\xed\xa0\x80", b"\xf0\x9f\x98",
    b"\xff\xfe", b"- ", b"|", b"? ", b"# ", b"x" * 700,
    b"\\ud800", b"\\u0000", b"\\", b'"', b"'", b"{", b"}", b"[", b"]", b"[]", b"{}", b",", b":",
    b"null", b"true", b"NaN", b"-Infinity", b"nan", b"inf", b"1e999", b"-0", b"0", b"1_0", b"1.5",
    b"1" + b"0" * 400, b"9" * 5000, b"[" * 3000, b'{"a":' * 3000, b"\xd9\xa1", b"-1", b"2",
    b"2020-13-45", b"0b_", b"0x_", b"1:99", b"!!int ''", b"!!timestamp x", b"!!bool x", b"!!set",
    b"!!binary \xe2\x82\xac", b"!!python/name:os.system", b"&a", b"*a", b"&a [*a]", b"<<: *a",
    b"%YAML 9.9", b"---\n", b"&#" + b"9" * 5000 + b";", b"&#xd800;", b"&amp;",
    b"<top", b"</top>", b"<top>", b"<num>", b"<title>", b"<topic number='", b"</topic>", b"<query>",
    b"\x1f\x8b", b"PK\x03\x04", b"IxMp", b"IHNf", b"IxPq", b"F8_E4M3", b"I64", b"BOOL",
)
NUMBERS = (0, 1, -1, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**62, 2**63 - 1, -(2**63))
VALUES = (
    None, True, 0, 1, -1, 1.5, float("nan"), float("inf"), 10**30, 10**400, "", " ", "a b", "x",
    "1", "\ud800", "\0", "\ufeff", "é", "x" * 700, [], {}, [1, 2], [None], ["x"], [[1]], {"x": 1},
)
# fmt: on


def make(random: Random, reader: Reader) -> bytes:
    """A strange file for a reader; the same for the same `random`."""
    chance = random.random()
    data = _structured(random, reader) if chance < 0.2 else random.choice(reader.seeds)
    if chance > 0.7 and (swapped := _swapped(random, data, reader)):
        return swapped
    for _ in range(random.choice((0, 1, 1, 1, 2, 2, 3, 5))):
        data = _damage(random, data, reader)
    return data


def pack(random: Random, data: bytes) -> bytes:
    """The file gzipped, perhaps in several members, perhaps damaged."""
    at = random.randint(0, len(data))
    packed = gzip.compress(data[:at], 1, mtime=0) + gzip.compress(data[at:], 1, mtime=0)
    return _damage(random, packed, None) if random.random() < 0.5 else packed


def _swapped(random: Random, data: bytes, reader: Reader) -> bytes | None:
    """The file with one value of its JSON, or column, replaced by an odd one; None: it has none."""
    lines = data.splitlines()
    at = random.randrange(len(lines))
    for text, put in (
        (data, lambda new: new),
        (lines[at], lambda new: b"\n".join([*lines[:at], new, *lines[at + 1 :]])),
    ):
        try:
            value = json.loads(text)
        except ValueError:
            continue
        for _ in range(random.choice((1, 1, 2))):
            value = _with_odd(random, value)
        return put(_json(random, value).encode(errors="surrogatepass"))
    columns = lines[at].split(b"\t")
    if len(columns) < 2:
        return None
    odd = _scalar(random, reader.words or ("id",)).encode(errors="surrogatepass")
    columns[random.randrange(len(columns))] = random.choice((odd, random.choice(ODD)))
    return b"\n".join([*lines[:at], b"\t".join(columns), *lines[at + 1 :]])


def _with_odd(random: Random, value: object) -> object:
    """A value of JSON in which one value, anywhere, is another."""
    if isinstance(value, dict) and value and random.random() < 0.9:
        key = random.choice(list(value))
        return {**value, key: _with_odd(random, value[key])}
    if isinstance(value, list) and value and random.random() < 0.9:
        at = random.randrange(len(value))
        return [*value[:at], _with_odd(random, value[at]), *value[at + 1 :]]
    return random.choice(VALUES)


def _damage(random: Random, data: bytes, reader: Reader | None) -> bytes:
    start = random.randint(0, len(data))
    end = min(len(data), start + random.choice((0, 1, 1, 2, 4, 8, 20, 1000)))
    kind = random.randrange(8)
    if kind < 3:
        return data[:start] + random.choice(ODD) + data[end if kind else start :]
    if kind == 3:
        return data[:start] + data[end:]
    if kind == 4:
        return data[:end] + data[start:end] * random.randint(1, 3) + data[end:]
    if kind == 5 and reader:
        other = random.choice(reader.seeds)
        return data[:start] + other[random.randint(0, len(other)) :]
    if kind == 6:
        number = random.choice(NUMBERS).to_bytes(8, "little", signed=True)
        number = number[: random.choice((1, 2, 4, 8))]
        return data[:start] + number + data[start + len(number) :]
    word = random.choice(reader.words if reader and reader.words else ("id",)).encode()
    return data[:start] + word + data[end:]


def _structured(random: Random, reader: Reader) -> bytes:
    words = reader.words or ("id", "text")
    shape = random.randrange(4)
    count = random.randint(0, 4)
    if shape == 0:  # a table
        separator = random.choice(("\t", "\t", " ", ":"))
        rows = [[_scalar(random, words) for _ in range(random.randint(1, 6))] for _ in range(count)]
        text = "\n".join(separator.join(row) for row in rows)
    elif shape == 1:  # lines of JSON
        text = "\n".join(_json(random, _object(random, words, 2)) for _ in range(count))
    elif shape == 2:  # one value of JSON, or YAML
        value = [_object(random, words, 2) for _ in range(count)]
        text = _json(random, random.choice((value, _object(random, words, 3), *VALUES)))
    else:  # tags
        text = "".join(f"<{_scalar(random, words)}>{_scalar(random, words)}" for _ in range(count))
    return text.encode(errors="surrogatepass")


def _json(random: Random, value: object) -> str:
    indent = random.choice((None, None, 1))
    return json.dumps(value, ensure_ascii=random.random() < 0.5, indent=indent)


def _object(random: Random, words: Sequence[str], depth: int) -> dict[str, object]:
    return {
        random.choice(words): random.choice(VALUES)
        if depth == 0 or random.random() < 0.6
        else random.choice(
            (_object(random, words, depth - 1), [_object(random, words, depth - 1)] * 2)
        )
        for _ in range(random.randint(0, 5))
    }


def _scalar(random: Random, words: Sequence[str]) -> str:
    value = random.choice((*words, *VALUES))
    return value if isinstance(value, str) else str(value)
