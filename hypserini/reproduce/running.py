"""Run the rows: index, search, evaluate, each once, and hold what comes out against the figures."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from glob import escape
from pathlib import Path

from hypserini import defaults
from hypserini.formats.workplace import Workplace
from hypserini.index.lucene_files import has_commit
from hypserini.index.shards import read_shards
from hypserini.reproduce import commands
from hypserini.reproduce.commands import CommandFailed
from hypserini.reproduce.matrix import Expected, Matrix, Row, Task

P_MRR = "p-MRR"
OK, OFF, NO_FIGURE = "OK", "off", "no figure at hand"


@dataclass(frozen=True, slots=True)
class Value:
    """A measure of a row, computed here.

    Attributes:
        measure: as `hypserini.evaluate` writes it.
        value: the mean over topics.
        expected: the published figure, None where none is at hand.
    """

    measure: str
    value: float
    expected: Expected | None = None

    @property
    def difference(self) -> float:
        """How far above the figure it is; 0 without one."""
        return self.value - self.expected.value if self.expected else 0.0

    @property
    def result(self) -> str:
        """OK, off, or that no figure is at hand."""
        if self.expected is None:
            return NO_FIGURE
        # A difference of exactly the tolerance is OK, whatever floats make of it.
        return OK if abs(self.difference) <= self.expected.tolerance + 1e-9 else OFF


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a row.

    Attributes:
        row: the row.
        model: the model that was run, or the matrix' name for one that is not to be had.
        values: its measures; none if it could not be run.
        topics: the judged topics that they are means over.
        why_not: the sentence that says why it could not be run.
    """

    row: Row
    model: str
    values: tuple[Value, ...] = ()
    topics: int = 0
    why_not: str | None = None


@dataclass(slots=True)
class Runner:
    """Runs rows, and remembers what it ran.

    Attributes:
        matrix: what the rows name.
        output: the folder of indexes, runs and made collections.
        models: the user's models, by the matrix' names or the hub's.
        model: the user's one model for all rows, whose figures are then no longer expected.
        index_flags: further flags of every `hypserini.index`.
        search_flags: further flags of every `hypserini.search`.
        overwrite: make everything anew.
        tell: is given each line that the user should see.
        ran: the commands of this session as they were run, in order.
    """

    matrix: Matrix
    output: Path
    models: Mapping[str, str] = field(default_factory=dict)
    model: str | None = None
    index_flags: Sequence[str] = ()
    search_flags: Sequence[str] = ()
    overwrite: bool = False
    tell: Callable[[str], None] = print
    ran: list[str] = field(default_factory=list)
    _outcomes: dict[str, Outcome] = field(default_factory=dict)
    _made: set[Path] = field(default_factory=set)
    _failed: dict[Path, str] = field(default_factory=dict)

    def run(self, row: Row) -> Outcome:
        """Run a row, unless it was run; what stops it is in its outcome."""
        if row.name not in self._outcomes:
            try:
                outcome = self._pooled(row) if row.of else self._of_its_own(row)
            except CommandFailed as error:
                outcome = Outcome(row, self._name_of(row), why_not=str(error))
            self._outcomes[row.name] = outcome
        return self._outcomes[row.name]

    # --- what a row is made of --------------------------------------------------------------------

    def _of_its_own(self, row: Row) -> Outcome:
        model = self._model(row)
        collection = self.matrix.collections[self.matrix.tasks[row.task].collection]
        folder = self.output / "collections" / self.matrix.tasks[row.task].collection
        task = _placed(self.matrix.tasks[row.task], folder)
        if collection.make:
            self._make(Path(_in(folder, collection.product)), collection.make, folder)
        index = self.output / "indexes" / defaults.index_name(task.collection, model)
        self._index(index, _in(folder, collection.collection), model, collection.index)
        run = self.output / "runs" / f"{index.name}.{row.task}.{row.search}.txt"
        flags = [*task.search, *self.matrix.searches[row.search]]
        self._search(run, index, model, task.topics, flags)
        evaluate = ["hypserini.evaluate", "--qrels", task.qrels, "--run", str(run)]
        if task.changed_topics and task.changed_qrels:
            changed = run.with_suffix(".changed.txt")
            self._search(changed, index, model, task.changed_topics, flags)
            evaluate += ["--changed-qrels", task.changed_qrels, "--changed-run", str(changed)]
        wanted = self.matrix.measures(row)
        measures = [measure for measure in wanted if measure != P_MRR]
        self._say([*evaluate, "--measures", *measures])
        report = json.loads(
            commands.run([*evaluate, "--measures", *measures, "--json"], capture=True)
        )
        (means,) = report["runs"].values()
        found = {measure: means[measure]["mean"] for measure in measures}
        if P_MRR in report:
            found[P_MRR] = report[P_MRR]["mean"]
        values = tuple(Value(each, found[each], self._expected(row, each)) for each in wanted)
        return Outcome(row, model, values, report["topics"])

    def _pooled(self, row: Row) -> Outcome:
        """The means over the topics of several rows together."""
        parts = [self.run(self.matrix.rows[name]) for name in row.of]
        for part in parts:
            if part.why_not:
                raise CommandFailed(f"{part.row.name} could not be run: {part.why_not}")
        topics = sum(part.topics for part in parts)
        sums: dict[str, float] = {}
        for part in parts:
            for value in part.values:
                sums[value.measure] = sums.get(value.measure, 0.0) + value.value * part.topics
        values = tuple(
            Value(measure, total / topics, self._expected(row, measure))
            for measure, total in sums.items()
        )
        return Outcome(row, parts[0].model, values, topics)

    def _expected(self, row: Row, measure: str) -> Expected | None:
        if self.model is not None:
            return None  # the figures are those of the matrix' model
        return next((each for each in row.expected if each.measure == measure), None)

    def _model(self, row: Row) -> str:
        known = self.matrix.models[row.model]
        given = self.model or self.models.get(row.model) or self.models.get(known.name or "")
        if given or known.name:
            return str(given or known.name)
        raise CommandFailed(f"{known.why}: give a folder, as --model {row.model}=FOLDER.")

    def _name_of(self, row: Row) -> str:
        while row.of:
            row = self.matrix.rows[row.of[0]]
        known = self.matrix.models[row.model]
        return self.model or self.models.get(row.model) or known.name or row.model

    # --- steps ------------------------------------------------------------------------------------

    def _make(self, product: Path, made_by: Sequence[Sequence[str]], folder: Path) -> None:
        self._stop_if_failed(product)
        if product.exists() and not (self.overwrite and product not in self._made):
            self.tell(f"# {folder} is there")
            return
        try:
            for command in made_by:
                words = [_in(folder, word) for word in command]
                self._say(words)
                commands.run(words)
        except CommandFailed as error:
            self._failed[product] = str(error)
            raise
        self._made.add(product)

    def _index(self, index: Path, collection: str, model: str, flags: Sequence[str]) -> None:
        """Build an index, or go on with it; one that is there is used if it is of this command."""
        command = ["hypserini.index", "--collection", collection]
        command += ["--index", str(index), "--model", model, *flags]
        self._stop_if_failed(index)
        anew = self.overwrite and index not in self._made
        if _is_index(index) and not anew:
            if commands.was_made_by(index, [*command, *self.index_flags]) is False:
                raise CommandFailed(
                    f"the index {index} was made by another command, which {index}.command holds: "
                    "give --overwrite, or another --output."
                )
            self.tell(f"# {index} is there")
            return
        begun = index.with_name(f"{index.name}.building").exists() or Workplace(index).is_ours
        how = ["--overwrite"] if anew else ["--resume"] if begun else []
        for run in (self.output / "runs").glob(f"{escape(index.name)}.*.txt"):
            commands.forget(run)  # of an index that will be no more
        self._execute(index, [*command, *self.index_flags], how)

    def _search(
        self, run: Path, index: Path, model: str, topics: str, flags: Sequence[str]
    ) -> None:
        """Write a run, unless this command did so and the index is still the same."""
        command = ["hypserini.search", "--index", str(index), "--model", model]
        command += ["--topics", topics, "--output", str(run), *flags]
        self._stop_if_failed(run)
        anew = (self.overwrite or index in self._made) and run not in self._made
        command += self.search_flags
        if run.exists() and not anew and commands.was_made_by(run, command):
            self.tell(f"# {run} is there")
            return
        self._execute(run, command)

    def _execute(self, product: Path, command: Sequence[str], extra: Sequence[str] = ()) -> None:
        """Run the command that makes a product, and note it. `extra` changes how, not what."""
        self._say([*command, *extra])
        if not _is_index(product):  # else it stays what it is if this fails
            commands.forget(product)
        try:
            commands.run([*command, *extra])
        except CommandFailed as error:
            self._failed[product] = str(error)
            raise
        commands.note(product, command)
        self._made.add(product)

    def _stop_if_failed(self, product: Path) -> None:
        """Do not try again in one session what failed, such as a hub that cannot be reached."""
        if product in self._failed:
            raise CommandFailed(self._failed[product])

    def _say(self, command: Sequence[str]) -> None:
        self.ran.append(commands.written(command))
        self.tell(f"$ {self.ran[-1]}")


def _is_index(folder: Path) -> bool:
    return has_commit(folder) or (folder.is_dir() and read_shards(folder) is not None)


def _in(folder: Path, text: str) -> str:
    return text.replace("{folder}", str(folder))


def _placed(task: Task, folder: Path) -> Task:
    """A task with the folder of its files in its texts."""
    return replace(
        task,
        topics=_in(folder, task.topics),
        qrels=_in(folder, task.qrels),
        search=tuple(_in(folder, flag) for flag in task.search),
        changed_topics=_in(folder, task.changed_topics) if task.changed_topics else None,
        changed_qrels=_in(folder, task.changed_qrels) if task.changed_qrels else None,
    )
