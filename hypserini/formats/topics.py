"""Topics: queries with their ids, from a file or by the name that Pyserini knows."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from gzip import BadGzipFile
from html import unescape
from pathlib import Path

from hypserini.errors import TopicsError
from hypserini.formats import ir_datasets, names
from hypserini.formats.output import open_text

ID_KEYS = ("qid", "query_id", "_id", "id", "topic_id", "number")
TEXT_KEYS = ("title", "text", "query", "contents", "question", "query_text", "content")

MSMARCO_PASSAGE = "msmarco-v1-passage"
_MSMARCO_PASSAGE_NAMES = {
    "dl19-passage",
    "dl20",
    "dl20-passage",
    "dl-hard",
    "dlhard",
    "queries-dev-small",
    "msmarco-test2019-queries",
    "msmarco-test2020-queries",
    *(f"msmarco-{version}passage-dev" for version in ("", "v1-")),
    *(f"msmarco-passage-{split}-subset" for split in ("dev", "test")),
}


@dataclass(frozen=True)
class Topics:
    """Queries in the order of their file.

    Attributes:
        name: the full name (dl19-passage), or the path.
        items: pairs of query id and text.
        family: the collection the topics were made for, "msmarco-v1-passage", or None.
    """

    name: str
    items: list[tuple[str, str]]
    family: str | None = None

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.items)

    @property
    def qids(self) -> list[str]:
        """The ids of the queries."""
        return [qid for qid, _ in self.items]

    @property
    def texts(self) -> list[str]:
        """The texts of the queries."""
        return [text for _, text in self.items]


def load_topics(name_or_path: str | Path, *, query_key: str | None = None) -> Topics:
    """Load topics from a file, or by a name: dl19, dl20, dev, or any that Pyserini knows.

    The format is told by the content: TSV (id, TAB, text; further columns are left out), TREC
    (`<top>`, `<num>`, `<title>`), the XML of TREC-COVID, JSON (lines, an array, or an object that
    maps ids to topics), or lines of `number:text`. Each may be gzipped. `irds:` and a name of
    ir_datasets names a data set's queries.

    Args:
        name_or_path: a file, or a name; a file of that name goes first.
        query_key: the field that is the query (`desc`, `question`, ...) where a topic has several;
            by default the title or the first of TEXT_KEYS that is there.

    Raises:
        TopicsError: no such file or name (the nearest are named), or a malformed topic, an empty
            one, or a second one with the same id (file and line are named).
    """
    path = Path(name_or_path)
    name = str(name_or_path)
    if not path.is_file():
        if ir_datasets.is_dataset(name):
            return _from_dataset(name)
        if path.is_dir():
            raise TopicsError(f"{path} is a folder: give a file of topics, or a name such as dl19.")
        if len(path.parts) > 1 or path.suffix in (".tsv", ".txt", ".jsonl", ".json", ".gz"):
            raise TopicsError(f"the topics file {path} does not exist.")
        name = names.canonical_name(name)
        try:
            path = names.find(names.TOPICS, name)
        except names.UnknownNameError as error:
            raise TopicsError(str(error)) from error
    return Topics(name, read_topics(path, query_key=query_key), _family(path, name))


def _from_dataset(name: str) -> Topics:
    try:
        items = ir_datasets.read_queries(name)
    except ir_datasets.DatasetError as error:
        raise TopicsError(str(error)) from error
    passages = name.startswith(f"{ir_datasets.PREFIX}msmarco-passage")
    return Topics(name, items, MSMARCO_PASSAGE if passages else None)


def read_topics(path: str | Path, *, query_key: str | None = None) -> list[tuple[str, str]]:
    """Read a topics file; see `load_topics` for the formats and the errors."""
    try:
        with open_text(path) as file:
            content = file.read().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise TopicsError(f"{path} is not UTF-8 ({error.reason}): convert it.") from error
    except (BadGzipFile, EOFError, zlib.error) as error:
        raise TopicsError(f"{path} is a damaged gzip file ({error}).") from error
    except OSError as error:
        raise TopicsError(f"cannot read {path}: {error.strerror or error}.") from error
    items: list[tuple[str, str]] = []
    places: dict[str, str] = {}
    for place, qid, text in _parse(content, path, query_key):
        where = f"{path}, {place}"
        qid, text = qid.strip(), " ".join(text.split())
        if not qid:
            raise TopicsError(f"{where}: the topic has no id.")
        if any(char.isspace() for char in qid):
            raise TopicsError(
                f"{where}: the id {qid[:60]!r} contains white space, which a run file cannot hold."
            )
        if not text:
            raise TopicsError(f"{where}: topic {qid} has no text.")
        if qid in places:
            raise TopicsError(f"{where}: topic {qid} was already given in {places[qid]}.")
        places[qid] = place
        items.append((qid, text))
    if not items:
        raise TopicsError(f"{path} holds no topics.")
    return items


def _family(path: Path, name: str) -> str | None:
    known = {names.plain(name), names.plain(names.name_of_file(path))}
    return MSMARCO_PASSAGE if known & _MSMARCO_PASSAGE_NAMES else None


# Each parser yields (place in the file, id, text).
_Parsed = Iterable[tuple[str, str, str]]


def _parse(content: str, path: str | Path, query_key: str | None) -> _Parsed:
    start = content.lstrip()
    if start.startswith(("{", "[")):
        return _parse_json(content, path, query_key)
    if start.startswith("<") and re.search(r"<top\b", start):
        return _parse_trec(content, path, query_key)
    if start.startswith("<") and re.search(r"<topic\b", start):
        return _parse_xml(content, path, query_key)
    first = start.split("\n", 1)[0]
    if "\t" not in first and re.match(r"\d+:", first):
        return _parse_lines(content, path, ":")
    return _parse_lines(content, path, "\t")


def _parse_lines(content: str, path: str | Path, separator: str) -> _Parsed:
    for line, text in enumerate(content.split("\n"), 1):
        if not text.strip():
            continue
        columns = text.rstrip("\r").split(separator)
        if len(columns) < 2:
            raise TopicsError(
                f"{path}, line {line}: no {'TAB' if separator == chr(9) else separator} between "
                f"an id and a text: {text.strip()[:60]}."
            )
        # A colon may occur in the text of number:text; in TSV more columns are not the query.
        yield (
            f"line {line}",
            columns[0],
            separator.join(columns[1:]) if separator == ":" else columns[1],
        )


_TREC_TAG = re.compile(r"<(/?)(top|num|dom|title|desc|smry|narr|con|fac|def|nat|time)\b[^>]*>")


def _parse_trec(content: str, path: str | Path, query_key: str | None) -> _Parsed:
    key = {"description": "desc", "narrative": "narr"}.get(query_key or "title", query_key)
    wanted = key or "title"
    topic: dict[str, str] = {}
    line = 1
    tags = list(_TREC_TAG.finditer(content))
    ends = [tag.start() for tag in tags[1:]] + [len(content)]
    for tag, end in zip(tags, ends, strict=True):
        closing, name = tag.groups()
        if name == "top" and not closing:
            if topic.get("open"):
                raise TopicsError(f"{path}, line {line}: the topic is not closed by </top>.")
            topic, line = {"open": "yes"}, content.count("\n", 0, tag.start()) + 1
        elif not closing:
            text = content[tag.end() : end].strip()
            label = r"^(Number|Topic|Description|Narrative)\s*:\s*"
            topic.setdefault(name, re.sub(label, "", text))
        elif name == "top":
            # Pyserini's ids are whole numbers (AR26 and 026 are 26), and so are those of its qrels.
            number = re.fullmatch(r"[A-Za-z]*0*(\d+)", topic.get("num", ""))
            if wanted not in topic:
                raise TopicsError(f"{path}, line {line}: the topic has no <{wanted}>.")
            yield f"line {line}", number[1] if number else topic.get("num", ""), topic[wanted]
            topic = {}
    if topic.get("open"):
        raise TopicsError(f"{path}, line {line}: the topic is not closed by </top>.")


def _parse_xml(content: str, path: str | Path, query_key: str | None) -> _Parsed:
    for topic in re.finditer(r"<topic\b([^>]*)>(.*?)</topic>", content, re.DOTALL):
        line = content.count("\n", 0, topic.start()) + 1
        number = re.search(r"""number\s*=\s*["']([^"']*)""", topic[1])
        for key in (query_key,) if query_key else TEXT_KEYS:
            if found := re.search(rf"<{key}>(.*?)</{key}>", topic[2], re.DOTALL):
                yield f"line {line}", number[1] if number else "", unescape(found[1])
                break
        else:
            raise TopicsError(f"{path}, line {line}: the topic has no <{query_key or 'query'}>.")


def _parse_json(content: str, path: str | Path, query_key: str | None) -> _Parsed:
    try:
        value = json.loads(content)
    except json.JSONDecodeError as error:
        lines = content.split("\n")
        first = next(number for number, text in enumerate(lines) if text.strip())
        try:
            json.loads(lines[first])
        except json.JSONDecodeError:
            raise _malformed(path, error.lineno, error) from error
        for line, text in enumerate(lines, 1):
            if not text.strip():
                continue
            try:
                value = json.loads(text)
            except json.JSONDecodeError as error:
                raise _malformed(path, line, error) from error
            yield (f"line {line}", *_from_object(value, f"{path}, line {line}", query_key))
        return
    if isinstance(value, dict) and not any(key in value for key in ID_KEYS):
        for qid, topic in value.items():
            if isinstance(topic, str):
                topic = {"text": topic}
            if not isinstance(topic, dict):
                raise TopicsError(f"{path}: topic {qid} is neither a string nor an object.")
            place = f"topic {qid}"
            yield (place, *_from_object({"qid": qid, **topic}, f"{path}, {place}", query_key))
        return
    if isinstance(value, dict):
        yield ("line 1", *_from_object(value, f"{path}, line 1", query_key))
        return
    for position, topic in enumerate(value, 1):
        place = f"topic {position}"
        yield (place, *_from_object(topic, f"{path}, {place}", query_key))


def _malformed(path: str | Path, line: int, error: json.JSONDecodeError) -> TopicsError:
    return TopicsError(
        f"{path}, line {line}: malformed JSON ({error.msg} at column {error.colno})."
    )


def _from_object(value: object, where: str, query_key: str | None) -> tuple[str, str]:
    if not isinstance(value, dict):
        raise TopicsError(f"{where}: expected a JSON object, found {json.dumps(value)[:60]}.")
    id_key = next((key for key in ID_KEYS if key in value), None)
    text_key = next((key for key in (query_key,) if key), None) or next(
        (key for key in TEXT_KEYS if key in value), None
    )
    if id_key is None or text_key is None or text_key not in value:
        missing = "id" if id_key is None else "text" if text_key is None else text_key
        raise TopicsError(
            f"{where}: the topic has no {missing} (its fields are {', '.join(value) or 'none'})."
        )
    qid, text = value[id_key], value[text_key]
    if isinstance(qid, bool) or not isinstance(qid, str | int):
        raise TopicsError(f"{where}: the id {json.dumps(qid)[:60]} is not a string or a number.")
    if not isinstance(text, str):
        raise TopicsError(f"{where}: the {text_key} of topic {qid} is not a string.")
    return str(qid), text
