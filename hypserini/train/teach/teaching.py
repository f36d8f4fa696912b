"""Gives every item of training data its teacher's score, in chunks that can be resumed."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any

import numpy as np

from hypserini.errors import HypseriniError, OutputError, TrainingError
from hypserini.formats.output import (
    atomic_output,
    cannot_write,
    check_writable,
    destination,
    is_stream,
    told,
)
from hypserini.formats.workplace import BusyError, ForeignError, Workplace
from hypserini.train.data.examples import WholeExample, format_example, read_examples
from hypserini.train.teach.teacher import Teacher

logger = logging.getLogger(__name__)

BATCHES_A_CHUNK = 32
"""Batches of pairs that are sorted by length and written together."""

LINES = "lines.jsonl"

Chunk = list[tuple[int, WholeExample]]


class Teaching:
    """Scores a file of training data into another.

    The scored lines gather in the folder `<output>.building`, which an interrupted run leaves
    behind. What is resumed is scored in the same batches, and so gives the same file.

    Args:
        source: The JSON lines.
        output: The JSON lines to write, gzipped if the name ends in `.gz`.
        teacher: Scores the pairs.
        settings: What else decides about the scores; a run is resumed under the same alone.
        by_docid: Items are named by their ids, and need no text.

    Raises:
        OutputError: The output cannot be written.
    """

    def __init__(
        self,
        source: str | Path,
        output: str | Path,
        teacher: Teacher,
        settings: dict[str, Any],
        *,
        by_docid: bool = False,
    ) -> None:
        self.pairs = 0
        self.compared = 0
        """Examples scored now that have several items."""
        self.first_best = 0
        """Those whose first item has the highest score."""
        self.resumed = 0
        """Examples that an earlier run had scored."""
        self.examples = 0
        self._source = Path(source)
        self._output = output
        self._teacher = teacher
        self._by_docid = by_docid
        status = self._source.stat()
        self._settings = {
            "input": str(self._source.resolve()),
            "input size": status.st_size,
            "input time": status.st_mtime_ns,
            **teacher.settings,
            **settings,
        }
        self._workplace = Workplace(building_of(output))
        self._building = self._workplace.folder
        self._lines = self._building / LINES

    def run(self, resume: bool = False) -> Iterator[int]:
        """Score all; hands out how many examples each step completed.

        Args:
            resume: Go on with an interrupted run, if there is one.

        Raises:
            TrainingError: The data is malformed, a score is not finite (names line and field), or
                the run to be resumed was another one.
        """
        chunks = self._chunks()
        _claim(self._workplace, resume)
        try:
            if self._lines.exists():
                self._check_settings()
            self._workplace.note(**self._settings)
        except BaseException:
            self._workplace.release()
            raise
        try:
            with told(self._output), open(self._lines, "a+b") as file:
                chunks = self._skip(chunks, file)
                if self.resumed:
                    yield self.resumed
                for chunk in chunks:
                    file.write(self._score(chunk).encode())
                    file.flush()
                    self.examples += len(chunk)
                    yield len(chunk)
            self._finish()
        except BaseException as error:
            # With what mends an error of ours, the scores would not be the same; a full disk aside.
            ours = isinstance(error, HypseriniError) and not isinstance(error, OutputError)
            if ours or not self.examples:
                self._remove()
            else:
                logger.warning(
                    "%s: %s examples are scored: go on with --resume",
                    *(self._building, f"{self.examples:,}"),
                )
            raise
        finally:
            self._workplace.release()

    def _chunks(self) -> Iterator[Chunk]:
        size = BATCHES_A_CHUNK * self._teacher.batch_size
        chunk: Chunk = []
        pairs = 0
        for line, example in read_examples(self._source, by_docid=self._by_docid):
            chunk.append((line, example))
            pairs += len(example["items"])
            if pairs >= size:
                yield chunk
                chunk, pairs = [], 0
        if chunk:
            yield chunk

    def _check_settings(self) -> None:
        noted = self._workplace.notes
        for name, value in self._settings.items():
            if noted.get(name) != value:
                raise TrainingError(
                    f"the interrupted run in {self._building} had {name} {noted.get(name)} and not "
                    f"{value}: run it as before, or remove that folder and start again."
                )

    def _skip(self, chunks: Iterator[Chunk], file: IO[bytes]) -> Iterator[Chunk]:
        """The chunks that are not whole in the file; what is there of others is cut off."""
        file.seek(0)
        whole = 0
        for chunk in chunks:
            lines = list(islice(file, len(chunk)))
            if len(lines) < len(chunk) or not lines[-1].endswith(b"\n"):
                chunks = chain([chunk], chunks)
                break
            whole += sum(map(len, lines))
            self.resumed += len(chunk)
        self.examples = self.resumed
        file.truncate(whole)
        return chunks

    def _score(self, chunk: Chunk) -> str:
        """The lines of a chunk with their scores."""
        scores = self._teacher.score([example for _, example in chunk])
        self.pairs += len(scores)
        written = []
        start = 0
        for line, example in chunk:
            own = scores[start : start + len(example["items"])]
            start += len(own)
            self._check_finite(own, line)
            self.compared += len(own) > 1
            self.first_best += len(own) > 1 and bool(own[0] >= own.max())
            # The shortest decimals that float32 tells apart.
            values = [float(str(score)) for score in own]
            items = [
                {**item, "score": value}
                for item, value in zip(example["items"], values, strict=True)
            ]
            written.append(format_example({**example, "items": items}))
        return "".join(written)

    def _check_finite(self, scores: np.ndarray, line: int) -> None:
        bad = np.flatnonzero(~np.isfinite(scores))
        if bad.size:
            raise TrainingError(
                f"{self._source}, line {line}: the model {self._teacher.name} gives items[{bad[0]}]"
                f" the score {scores[bad[0]]}: check its weights, or score with --dtype float32."
            )

    def _finish(self) -> None:
        """Put the lines in their place."""
        with open(self._lines, encoding="utf-8") as lines, atomic_output(self._output) as file:
            shutil.copyfileobj(lines, file, 1 << 20)
        self._remove()

    def _remove(self) -> None:
        self._lines.unlink(missing_ok=True)
        self._workplace.remove()


def building_of(output: str | Path) -> Path:
    """The folder where the scored lines gather until all are there."""
    if is_stream(output):  # nothing can be put beside a device, and nothing resumed
        return Path(tempfile.gettempdir()) / f"hypserini-teach-{os.getpid()}.building"
    path = destination(output)
    return path.with_name(path.name + ".building")


def check_building(output: str | Path, resume: bool) -> None:
    """Refuse to write over an interrupted run, or beside another, before anything is loaded.

    Raises:
        TrainingError: There is one, and it is not to be resumed; or another process is at it.
        OutputError: The output cannot be written.
    """
    check_writable(output)
    workplace = Workplace(building_of(output))
    if workplace.folder.exists():
        _claim(workplace, resume)
        if (workplace.folder / LINES).exists():
            workplace.release()
        else:
            workplace.remove()


def _claim(workplace: Workplace, resume: bool) -> None:
    folder = workplace.folder
    try:
        workplace.claim()
    except BusyError:
        raise TrainingError(
            f"another process gathers its scores in {folder}: wait until it has ended."
        ) from None
    except ForeignError:
        raise TrainingError(
            f"{folder}, where the scores would gather, exists and was not made by hypserini: move "
            "it away, or choose another --output."
        ) from None
    except OSError as error:
        raise cannot_write(folder, error) from error
    if (folder / LINES).exists() and not resume:
        workplace.release()
        raise TrainingError(
            f"an interrupted run lies in {folder}: give --resume to go on with it, or remove it."
        )
