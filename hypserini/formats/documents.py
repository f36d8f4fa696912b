"""Collection files, line by line: JSON lines, JSON arrays and TSV, plain or gzipped."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from hypserini.errors import CollectionError

ID_KEYS = ("id", "_id", "docid", "doc_id", "pid")
SUFFIXES = {
    ".jsonl": "json",
    ".ndjson": "json",
    ".json": "json",
    ".tsv": "tsv",
}
_CHUNK = 1 << 20
_GAP = re.compile(r"[ \t\r\n,]*")


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a collection.

    Attributes:
        docid: its id, never empty and free of white space (a run file could not hold it).
        contents: the text to encode and to index; may be empty.
        raw: the JSON to store: the collection's own, or `{"id", "contents"}` for TSV.
        source: the file it came from, or the name of the data set.
        line: the line in that file, or its position in a data set, from 1.
    """

    docid: str
    contents: str
    raw: str
    source: str
    line: int


class CollectionFile:
    """One file of a collection, opened on iteration.

    Args:
        path: the file.
        fields: what the text is made of (see `Collection`); None: by the document's own keys.
        format: "json", "tsv", or "auto" for whichever the name or the first character tells.
    """

    def __init__(self, path: Path, fields: Sequence[str] | None, format: str = "auto") -> None:
        self.path = path
        self.fields = fields
        self.format = format
        self.skipped = 0
        self._file: IO[bytes] | None = None

    @property
    def bytes_read(self) -> int:
        """Bytes consumed so far of the file as it lies on disk (compressed ones of a .gz)."""
        return 0 if self._file is None else self._file.tell()

    def read(self, skip: int = 0) -> Iterator[Document]:
        """Yield the file's documents after the first `skip`; those are counted, not parsed.

        `skipped` says afterwards how many that were: a short file has fewer than `skip`.

        Raises:
            CollectionError: the file cannot be read or decompressed, or a document is malformed.
        """
        self.skipped = 0
        try:
            with open(self.path, "rb") as self._file:
                lines = self._file
                if self.path.name.endswith(".gz"):
                    lines = gzip.open(self._file, "rb")  # type: ignore[assignment]  # noqa: SIM115
                yield from self._read(lines, skip)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise CollectionError(
                f"{self.path} is a damaged gzip file ({error}): obtain it again."
            ) from error
        except OSError as error:
            raise CollectionError(f"cannot read {self.path}: {error.strerror or error}.") from error
        finally:
            self._file = None

    def _read(self, lines: IO[bytes], skip: int) -> Iterator[Document]:
        # An array may be one line as long as the file: no line is read whole before that is known.
        number, first = 1, lines.readline(_CHUNK)
        while first and not first.strip(b"\xef\xbb\xbf \t\r\n"):
            number, first = number + 1, lines.readline(_CHUNK)
        first = first.removeprefix(b"\xef\xbb\xbf")
        parse: Callable[[str, int], Document] = self._from_json_line
        if self._is_json(first):
            if first.lstrip().startswith(b"["):
                yield from self._read_array(lines, first, number, skip)
                return
            first = _rest_of_line(lines, first)
            if self.path.name.removesuffix(".gz").endswith(".json") and not _is_whole(first):
                first += lines.read()  # One object over several lines, as Pyserini allows.
        elif first:
            first = _rest_of_line(lines, first)
            parse = self._from_tsv_line
        while first:
            if first.strip():
                if self.skipped < skip:
                    self.skipped += 1
                else:
                    yield parse(self._decode(first, number), number)
            number, first = number + 1, lines.readline()

    def _is_json(self, first: bytes) -> bool:
        if self.format != "auto":
            return self.format == "json"
        known = SUFFIXES.get(Path(self.path.name.removesuffix(".gz")).suffix)
        if known:
            return known == "json"
        if first.lstrip()[:1] in (b"{", b"["):
            return True
        if b"\t" in first or not first:
            return False
        raise CollectionError(
            f"cannot tell the format of {self.path}: expected JSON lines, a JSON array, or lines "
            "of id TAB text."
        )

    def _read_array(
        self, lines: IO[bytes], buffer: bytes, line: int, skip: int
    ) -> Iterator[Document]:
        """Stream the elements of a JSON array, holding one chunk of the file at a time."""
        decoder = json.JSONDecoder()
        buffer = buffer[buffer.index(b"[") + 1 :]
        rest = _incomplete_tail(buffer)
        text = self._decode(buffer[: len(buffer) - len(rest)], line, whole=False)
        at = 0
        while True:
            start = _GAP.match(text, at).end()  # type: ignore[union-attr]
            line += text.count("\n", at, start)
            at = start
            if text.startswith("]", at):
                return
            end, error = 0, None
            if at < len(text):
                try:
                    value, end = decoder.raw_decode(text, at)
                    # A value that ends where the text ends might go on in the next chunk.
                    end = end if end < len(text) else 0
                except json.JSONDecodeError as caught:
                    error = caught
            if end:
                if self.skipped < skip:
                    self.skipped += 1
                else:
                    yield self._from_object(value, text[at:end], line)
                line += text.count("\n", at, end)
                at = end
                continue
            # Doubling keeps the work linear when one document is far larger than a chunk.
            chunk = lines.read(max(_CHUNK, len(text) - at))
            if not chunk:
                what = error.msg if error else "the array is not closed by ]"
                raise self._malformed(line + text.count("\n", at, error.pos if error else at), what)
            chunk = rest + chunk
            rest = _incomplete_tail(chunk)
            text = text[at:] + self._decode(chunk[: len(chunk) - len(rest)], line, whole=False)
            at = 0

    def _decode(self, data: bytes, line: int, whole: bool = True) -> str:
        try:
            return data.rstrip(b"\r\n").decode() if whole else data.decode()
        except UnicodeDecodeError as error:
            line += data.count(b"\n", 0, error.start)
            raise CollectionError(
                f"{self.path}, line {line}: not UTF-8 (byte {data[error.start]:#04x}): convert "
                "the file to UTF-8."
            ) from error

    def _malformed(self, line: int, what: str) -> CollectionError:
        return CollectionError(f"{self.path}, line {line}: malformed JSON ({what}).")

    def _from_json_line(self, text: str, line: int) -> Document:
        try:
            value = json.loads(text)
        except json.JSONDecodeError as error:
            where = line + error.lineno - 1
            raise self._malformed(where, f"{error.msg} at column {error.colno}") from error
        except RecursionError as error:
            raise self._malformed(line, "nested too deeply") from error
        return self._from_object(value, text.strip(), line)

    def _from_object(self, value: object, raw: str, line: int) -> Document:
        where = f"{self.path}, line {line}"
        if not isinstance(value, dict):
            raise CollectionError(
                f"{where}: expected a JSON object with an id and a text, found {_shorten(raw)}."
            )
        key = next((key for key in ID_KEYS if key in value), None)
        if key is None:
            raise CollectionError(
                f"{where}: the document has no id (one of {', '.join(ID_KEYS)}; its fields are "
                f"{', '.join(value) or 'none'})."
            )
        docid = check_docid(value[key], where)
        return Document(docid, text_of(value, self.fields, where), raw, str(self.path), line)

    def _from_tsv_line(self, text: str, line: int) -> Document:
        where = f"{self.path}, line {line}"
        columns = text.split("\t")
        if len(columns) < 2:
            raise CollectionError(f"{where}: no TAB between an id and a text: {_shorten(text)}.")
        docid = check_docid(columns[0], where)
        chosen = columns[1:]
        if self.fields:
            try:
                chosen = [columns[int(field) - 1] for field in self.fields if int(field) > 0]
            except (ValueError, IndexError) as error:
                raise CollectionError(
                    f"{where}: no columns {', '.join(self.fields)}: the line has {len(columns)}; "
                    "--fields takes the numbers of a TSV's columns, counted from 1 (the id)."
                ) from error
        contents = " ".join(part for part in chosen if part)
        return Document(docid, contents, make_raw(docid, contents), str(self.path), line)


def text_of(value: dict, fields: Sequence[str] | None, where: str) -> str:
    """Return the text of a JSON document: its fields joined by a space, empty ones left out.

    Args:
        value: the document.
        fields: what the text is made of; None: `contents`, else `title` and `text`.
        where: the file and the line, for messages.

    Raises:
        CollectionError: the document has none of the fields, or one that is not a string.
    """
    if not fields:
        fields = ("contents",) if "contents" in value else ("title", "text")
        if fields[-1] not in value:
            raise CollectionError(
                f"{where}: the document has no contents and no text (its fields are "
                f"{', '.join(value)}): choose fields with --fields."
            )
    parts = []
    for field in fields:
        part = value.get(field)
        if part is None:
            continue
        if not isinstance(part, str):
            raise CollectionError(
                f"{where}: field {field} is not a string but {_shorten(json.dumps(part))}."
            )
        parts.append(part)
    if not parts and not any(field in value for field in fields):
        raise CollectionError(
            f"{where}: the document has none of the chosen fields {', '.join(fields)} (its "
            f"fields are {', '.join(value)}): choose others with --fields."
        )
    return clean(" ".join(part for part in parts if part))


def make_raw(docid: str, contents: str) -> str:
    """Return the JSON that is stored for a document that was not JSON itself."""
    return json.dumps({"id": docid, "contents": contents}, ensure_ascii=False)


def check_docid(value: object, where: str) -> str:
    """Return `value` as a document id; whole numbers become strings.

    Raises:
        CollectionError: no string or whole number, or empty, or with white space inside.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise CollectionError(f"{where}: the id is not a string but {_shorten(json.dumps(value))}.")
    if not value.strip():
        raise CollectionError(f"{where}: the id is empty.")
    if any(char.isspace() for char in value):
        raise CollectionError(
            f"{where}: the id {_shorten(repr(value))} contains white space, which a run file "
            "cannot hold: replace it, by _ for example."
        )
    return clean(value)


def clean(text: str) -> str:
    r"""Replace halves of surrogate pairs (JSON's `\ud83d` alone), which UTF-8 cannot hold."""
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _rest_of_line(lines: IO[bytes], start: bytes) -> bytes:
    return start if start.endswith(b"\n") else start + lines.readline()


def _is_whole(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _incomplete_tail(data: bytes) -> bytes:
    """Return the first bytes of a character that `data` breaks off in, or nothing."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte < 0x80:
            return b""
        if byte >= 0xC0:
            needed = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return data[-back:] if needed > back else b""
    return b""


def _shorten(text: str, width: int = 60) -> str:
    return text if len(text) <= width else text[: width - 3] + "..."
