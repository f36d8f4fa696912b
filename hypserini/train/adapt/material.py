"""What an adaptation trains, validates and tests on, in files: made once, read by a resume."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hypserini.errors import TrainingError
from hypserini.formats.output import atomic_output
from hypserini.train.adapt.options import AdaptOptions
from hypserini.train.data.examples import WholeExample, format_example

_CONFIG, _ABOUT = "config.yaml", "options.json"
_TRAIN, _TEST = "train.jsonl", "test.jsonl"
_HELD_OUT = [
    f"{part}.{name}" for part in ("validation", "test") for name in ("topics.tsv", "qrels.txt")
]


@dataclass(frozen=True, slots=True)
class About:
    """What is told of the material in the card.

    Attributes:
        teacher: Its name.
        encoder: The name of the encoder that made the vectors.
        queries: How many there are.
        held_out: Of these not trained on.
    """

    teacher: str
    encoder: str
    queries: int
    held_out: int


@dataclass(frozen=True, slots=True)
class Material:
    """The files of an adaptation.

    Attributes:
        folder: Where they lie.
    """

    folder: Path

    @property
    def config(self) -> Path:
        """The training configuration, as `hypserini.train` takes it; it is written last."""
        return self.folder / _CONFIG

    def write_examples(
        self, examples: Sequence[WholeExample], held_out: int, options: AdaptOptions
    ) -> int:
        """Write what is trained, validated and tested on; how many examples are trained on.

        Args:
            examples: Each with its own document first; those held out come before the others.
            held_out: How many of these: one half validates, the other is tested on.
            options: Of the adaptation.

        Raises:
            TrainingError: No example has candidates enough.
        """
        train_on = [e for e in examples[held_out:] if len(e["items"]) > options.negatives]
        if not train_on:
            raise TrainingError(
                f"no query has more than {options.negatives} candidates: give fewer --negatives."
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        parts = {
            "validation": examples[: held_out // 2],
            "test": examples[held_out // 2 : held_out],
        }
        self._write(_TRAIN, map(format_example, train_on))
        self._write(_TEST, map(format_example, parts["test"]))
        for name, part in parts.items():
            texts = enumerate(" ".join(e["query"]["content"].split()) for e in part)
            own = enumerate(e["items"][0]["id"] for e in part)
            self._write(f"{name}.topics.tsv", (f"{n}\t{text}\n" for n, text in texts))
            self._write(f"{name}.qrels.txt", (f"{n} 0 {docid} 1\n" for n, docid in own))
        return len(train_on)

    def write_about(self, about: About, options: AdaptOptions, config: dict[str, Any]) -> None:
        """Write how it was made and is trained on: after this an adaptation can be gone on with."""
        noted = {**asdict(options), "about": asdict(about)}
        self._write(_ABOUT, [json.dumps(noted, indent=1) + "\n"])
        self._write(_CONFIG, [json.dumps(config, indent=1) + "\n"])

    def take_over(self, other: Material, index: str, options: AdaptOptions) -> int:
        """Take what another adaptation to an index trains and tests on; how many examples it is.

        Raises:
            TrainingError: There is none, or it was made by other options or of another index.
        """
        if not other.config.exists():
            raise TrainingError(
                f"{other.folder.parent} holds no adaptation whose queries could be taken: name the"
                " folder of one."
            )
        other.check(options, options.of_the_queries)
        other.check_index(index)
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in (_TRAIN, _TEST, *_HELD_OUT):
            self._write(name, [(other.folder / name).read_text(encoding="utf-8")])
        with open(self.folder / _TRAIN, encoding="utf-8") as lines:
            return sum(1 for _ in lines)

    def check(self, options: AdaptOptions, names: Iterable[str] | None = None) -> None:
        """Refuse other options than the material was made by; of some names, or of all.

        Raises:
            TrainingError: Names what differs.
        """
        noted = json.loads((self.folder / _ABOUT).read_text(encoding="utf-8"))
        asked = json.loads(json.dumps(asdict(options)))
        differing = (n for n in names or asked if asked[n] != noted.get(n))
        if (name := next(differing, None)) is not None:
            raise TrainingError(
                f"{self.folder.parent} was begun with {name} {noted.get(name)}, not {asked[name]}: "
                "give what it was begun with, or choose another folder."
            )

    def check_index(self, index: str) -> None:
        """Refuse another index than the material was made of.

        Raises:
            TrainingError: Names both.
        """
        config = json.loads(self.config.read_text(encoding="utf-8"))
        if (of := config["model_config"]["passage_vectors"]["index"]) != index:
            raise TrainingError(
                f"the queries of {self.folder.parent} are of {of}, not of {index}: name that index,"
                " or another folder."
            )

    def about(self) -> About:
        """What is told of it."""
        noted = json.loads((self.folder / _ABOUT).read_text(encoding="utf-8"))
        return About(**noted["about"])

    def test_examples(self) -> list[WholeExample]:
        """The examples that neither train nor choose the checkpoint."""
        with open(self.folder / _TEST, encoding="utf-8") as lines:
            return [json.loads(line) for line in lines]

    def _write(self, name: str, lines: Iterable[str]) -> None:
        with atomic_output(self.folder / name) as file:
            file.writelines(lines)
