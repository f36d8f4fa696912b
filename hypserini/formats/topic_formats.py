"""The formats of topics files, told by their content: TSV, TREC, XML, JSON, `number:text`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from html import escape, unescape
from itertools import chain
from pathlib import Path
from typing import Any

from hypserini.errors import TopicsError, named, shorten, shown
from hypserini.formats import names
from hypserini.formats.headers import TextTable
from hypserini.formats.reading import LARGEST_TEXT, check_length, placed, read_lines
from hypserini.formats.values import Malformed, check_id, clean, parse_json

ID_KEYS = ("qid", "query_id", "_id", "id", "topic_id", "number", "num")
TEXT_KEYS = ("title", "text", "query", "contents", "question", "query_text", "content")

# Files whose ids Pyserini takes for whole numbers, and so do its qrels: 051, AR26, MB01.
_RENUMBERED = {"adhoc-51-100", "trec02ar-ar", *(f"microblog20{year}" for year in range(11, 15))}
# number:priority:text
_PRIORITIZED = "mq-20001-60000"

Record = dict[str, Any]
"""A topic as it stands in its file: its fields by their names."""


def read_records(path: str | Path) -> Iterator[tuple[str, Record]]:
    """Yield the topics of a file, each with its place in it ("line 3", "topic 7").

    Raises:
        TopicsError: the file cannot be read, or is malformed; names file and line.
    """
    lines = read_lines(path, TopicsError, "topics file")
    first = next(lines, None)
    if first is None:
        return
    every = chain((first,), lines)
    start = first[1].lstrip()
    if start.startswith(("{", "[")):
        yield from _parse_json(_joined(every, path), path)
    elif start.startswith("<"):
        yield from _parse_tags(_joined(every, path), path)
    elif "\t" not in start and re.match("[0-9]+:", start):
        yield from _parse_numbered(every, path)
    else:
        yield from _parse_tsv(every, path)


def topic_of(record: Record, query_key: str | None = None) -> tuple[str, str]:
    """Return the id and the text of a topic: the first fields of either kind that hold some.

    Args:
        record: the topic's fields.
        query_key: the field that is the text, where there are several; by default one of TEXT_KEYS.

    Raises:
        Malformed: there is no id or no text, or one that cannot be used.
    """
    qid = next((record[key] for key in ID_KEYS if record.get(key) not in (None, "")), None)
    if qid is None or (isinstance(qid, str) and not qid.strip()):
        raise Malformed(f"the topic has no id (its fields are {named(record)}).")
    qid = check_id(qid.strip() if isinstance(qid, str) else qid)
    several = len(record) > 2
    present = [k for k in ([query_key] if query_key and several else TEXT_KEYS) if k in record]
    if not present:
        missing = f"<{query_key or 'title'}>" if "num" in record else query_key or "text"
        raise Malformed(f"the topic has no {missing} (its fields are {named(record)}).")
    texts = [record[key] for key in present if isinstance(record[key], str)]
    if not texts:
        value = record[present[0]]
        raise Malformed(f"the {present[0]} of topic {qid} is not a string but {shown(value)}.")
    text = next((text for text in texts if text.strip()), None)
    if text is None:
        raise Malformed(f"topic {qid} has no text.")
    return qid, clean(" ".join(text.split()))


def _joined(lines: Iterable[tuple[int, str]], path: str | Path) -> str:
    """The text of the lines, each in its place: what follows blank ones, too."""
    parts, at, size = [], 1, 0
    for number, text in lines:
        size += number - at + len(text)
        check_length(range(size), LARGEST_TEXT, str(path), TopicsError)
        parts.append("\n" * (number - at) + text)
        at = number
    return "".join(parts)


def _parse_tsv(lines: Iterable[tuple[int, str]], path: str | Path) -> Iterator[tuple[str, Record]]:
    table: TextTable | None = None
    is_first = True
    for line, text in lines:
        if is_first:
            table, is_first = TextTable.of(text), False
            if table:
                continue
        columns = text.split("\t")
        if len(columns) < 2:
            raise TopicsError(
                f"{path}, line {line}: no TAB between an id and a text: {shown(text.strip())}."
            )
        # What follows the second column is not the query, but for a first line that says so.
        yield f"line {line}", table.row(text) if table else {"qid": columns[0], "title": columns[1]}


def _parse_numbered(
    lines: Iterable[tuple[int, str]], path: str | Path
) -> Iterator[tuple[str, Record]]:
    prioritized = names.plain(names.name_of_file(path)) == _PRIORITIZED
    for line, text in lines:
        number, colon, query = text.partition(":")
        if not colon:
            raise TopicsError(
                f"{path}, line {line}: no : between an id and a text: {shown(text.strip())}."
            )
        if prioritized:
            query = query.partition(":")[2]
        yield f"line {line}", {"qid": number, "title": query}


def _parse_tags(content: str, path: str | Path) -> Iterator[tuple[str, Record]]:
    if re.search(r"<top\b", content):
        return _parse_trec(content, path)
    if re.search(r"<topic\b", content):
        return _parse_xml(content, path)
    raise TopicsError(f"{path} holds tags, but no <top> and no <topic>: is it a topics file?")


_TREC_TAG = re.compile(
    r"<(/?)(top|num|dom|title|query|desc|smry|narr|con|fac|def|nat|time|querytime|querytweettime)"
    r"\b[^<>]*>"
)
_TREC_LABEL = re.compile(r"^(Number|Topic|Description|Narrative)\s*:\s*")
_LONG_NAMES = {"desc": "description", "narr": "narrative"}


def _parse_trec(content: str, path: str | Path) -> Iterator[tuple[str, Record]]:
    renumbered = names.plain(names.name_of_file(path)) in _RENUMBERED
    topic: Record | None = None
    place, at, line = "line 1", 0, 1
    tags = list(_TREC_TAG.finditer(content))
    for number, tag in enumerate(tags):
        closing, name = tag.groups()
        if name == "top":
            if bool(closing) == (topic is None):
                what = "is closed before it begins" if closing else "is not closed by </top>"
                raise TopicsError(f"{path}, {place}: the topic {what}.")
            if topic is not None:
                yield place, _of_trec(topic, renumbered)
                topic = None
                continue
            line += content.count("\n", at, tag.start())
            place, at, topic = f"line {line}", tag.start(), {}
        elif topic is not None and not closing:
            end = tags[number + 1].start() if number + 1 < len(tags) else len(content)
            topic.setdefault(name, _TREC_LABEL.sub("", content[tag.end() : end].strip()))
    if topic is not None or not tags:
        raise TopicsError(f"{path}, {place}: the topic is not closed by </top>.")


def _of_trec(topic: Record, renumbered: bool) -> Record:
    topic |= {long: topic[short] for short, long in _LONG_NAMES.items() if short in topic}
    digits = re.sub("[^0-9]", "", topic.get("num", ""))
    if renumbered and digits:
        topic["num"] = digits.lstrip("0") or "0"
    return topic


_XML_NUMBER = re.compile(r"""number\s*=\s*["']([^"'<>]*)""")
_XML_TAG = re.compile(r"<(/?)(\w+)\b[^<>]*>")


def _parse_xml(content: str, path: str | Path) -> Iterator[tuple[str, Record]]:
    content = _plain_xml(content)
    at, line = 0, 1
    for opening in re.finditer(r"<topic\b([^<>]*)>", content):
        line += content.count("\n", at, opening.start())
        at = opening.start()
        end = content.find("</topic>", opening.end())
        following = content.find("<topic", opening.end())
        if end < 0 or 0 <= following < end:
            raise TopicsError(f"{path}, line {line}: the topic is not closed by </topic>.")
        topic: Record = {}
        if number := _XML_NUMBER.search(opening[1]):
            topic["number"] = _unescaped(number[1])
        starts: dict[str, int] = {}
        for tag in _XML_TAG.finditer(content, opening.end(), end):
            closing, name = tag.groups()
            if not closing:
                starts.setdefault(name, tag.end())
            elif name in starts and name not in topic:
                topic[name] = _unescaped(content[starts[name] : tag.start()])
        yield f"line {line}", topic


def _plain_xml(content: str) -> str:
    """XML without its comments, of which only the line ends stay, and with CDATA as plain text."""
    parts = []
    at = 0
    for start in re.finditer(r"<!--|<!\[CDATA\[", content):
        if start.start() < at:
            continue
        is_comment = start[0] == "<!--"
        end = content.find("-->" if is_comment else "]]>", start.end())
        if end < 0:
            break
        inside = content[start.end() : end]
        parts.append(content[at : start.start()])
        parts.append("\n" * inside.count("\n") if is_comment else escape(inside, quote=False))
        at = end + 3
    return "".join([*parts, content[at:]])


def _unescaped(text: str) -> str:
    try:
        return unescape(text)
    except ValueError:  # a character's number has thousands of digits
        return text


def _parse_json(content: str, path: str | Path) -> Iterator[tuple[str, Record]]:
    try:
        value = parse_json(content, unique=True)
    except Malformed as error:
        lines = content.split("\n")
        first = next(text for text in lines if text.strip())
        try:
            parse_json(first, unique=True)
        except Malformed:
            raise TopicsError(f"{path}, line {1 + error.line}: {error}") from error
        yield from _parse_json_lines(lines, path)
        return
    if isinstance(value, dict) and not any(key in value for key in ID_KEYS):
        for qid, topic in value.items():
            place = f"topic {shorten(qid)}"
            topic = {"text": topic} if isinstance(topic, str) else topic
            yield place, {"qid": qid} | _checked(topic, f"{path}, {place}")
    elif isinstance(value, dict):
        yield "line 1", value
    else:
        for position, topic in enumerate(value, 1):
            yield f"topic {position}", _checked(topic, f"{path}, topic {position}")


def _parse_json_lines(lines: Iterable[str], path: str | Path) -> Iterator[tuple[str, Record]]:
    for line, text in enumerate(lines, 1):
        if text.strip():
            where = f"{path}, line {line}"
            with placed(where, TopicsError):
                value = parse_json(text, unique=True)
            yield f"line {line}", _checked(value, where)


def _checked(topic: object, where: str) -> Record:
    if not isinstance(topic, dict):
        raise TopicsError(f"{where}: expected a JSON object, found {shown(topic)}.")
    return topic
