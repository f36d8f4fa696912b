"""First lines that name the columns of a table: `qid TAB query`, `id TAB text TAB title`, ..."""

from __future__ import annotations

import re
from collections.abc import Sequence

# What the field calls its columns; `-` and blanks count as `_`.
QUERY_ID = frozenset("qid query_id queryid q_id topic topic_id topicid topic_number".split())
DOCUMENT_ID = frozenset(
    "docid doc_id docno document_id did pid passage_id corpus_id corpusid para_id".split()
)
ANY_ID = QUERY_ID | DOCUMENT_ID | {"id", "_id"}
TEXT = frozenset(
    "text title contents content body passage document abstract segment url headings "
    "query question query_text description narrative".split()
)
RANK = frozenset(["rank"])
SCORE = frozenset("score sim similarity".split())
GRADE = frozenset(
    "score grade rel relevance relevancy label relevance_label judgment judgement rating".split()
)

_QUOTED_OR_NOT = re.compile(r'(?:^|(?<=\t))(?:"[^"]*(?:""[^"]*)*"(?=\t|$)|[^\t]*)')


def plain_name(name: str) -> str:
    """Return the name of a column as it is compared: `Query-ID` is query_id."""
    return re.sub(r"[\s-]+", "_", name.strip().strip("\"'").lstrip("#").strip().lower())


def find_columns(fields: Sequence[str], *kinds: frozenset[str]) -> tuple[int, ...] | None:
    """Return the positions of the columns of some kinds; None if `fields` is no line of names.

    Args:
        fields: the columns of a line.
        kinds: the names that each wanted column may have.
    """
    names = [plain_name(field) for field in fields]
    found = [next((n for n, name in enumerate(names) if name in kind), None) for kind in kinds]
    if None in found or len(set(found)) < len(found):
        return None
    return tuple(column for column in found if column is not None)


class TextTable:
    """The rows of a table with a first line: an id, and columns of text, by their names.

    Made by `TextTable.of`. Columns may be quoted as spreadsheets and DPR's passages are.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names

    @classmethod
    def of(cls, line: str) -> TextTable | None:
        """The table of a first line, or None where the line is a row already."""
        names = [plain_name(field) for field in line.split("\t")]
        is_head = names[0] in ANY_ID and any(name in TEXT for name in names[1:])
        return cls(["id", *names[1:]]) if is_head else None

    def row(self, line: str) -> dict[str, str]:
        """The columns of a row by their names; the id is `id`, more columns go into the last."""
        columns = line.split("\t")
        if len(columns) > len(self.names):
            # A TAB within quotes, or one that nobody took out of the text.
            columns = _QUOTED_OR_NOT.findall(line)
            last = len(self.names) - 1
            columns[last:] = ["\t".join(columns[last:])]
        return dict(zip(self.names, map(unquoted, columns), strict=False))


def unquoted(column: str) -> str:
    """Return a column without the quotes around it, if all quotes within are doubled."""
    if len(column) < 2 or column[0] != '"' or column[-1] != '"':
        return column
    inner = column[1:-1]
    return column if '"' in inner.replace('""', "") else inner.replace('""', '"')
