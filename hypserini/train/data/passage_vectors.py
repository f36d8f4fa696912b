"""Document vectors that are there already, in place of a document encoder and its texts."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hypserini.errors import TrainingError, named
from hypserini.formats.vector_readers import VectorSource
from hypserini.modeling import load_model
from hypserini.settings import EncodingSettings

logger = logging.getLogger(__name__)

AT_ONCE = 4096


@dataclass(slots=True)
class VectorsSection:
    """Where the document vectors of a training come from.

    Attributes:
        index: an index of ours or Anserini's, or several whose documents differ.
        files: in place of it, files or folders of vectors that `VectorSource` reads.
        model: the encoder that made them, where they do not say so themselves; it is loaded.
    """

    index: str | list[str] | None = None
    files: str | list[str] | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """What is known of the encoder that made the vectors.

    Attributes:
        model: its name.
        fingerprint: of its weights.
        dimension: of its vectors.
        settings: how it encodes.
    """

    model: str
    fingerprint: str
    dimension: int
    settings: EncodingSettings


class VectorStore:
    """Vectors in memory, by docid.

    Args:
        docids: the documents.
        vectors: `[n, dim] float32`, theirs.
    """

    def __init__(self, docids: Sequence[str], vectors: np.ndarray) -> None:
        self._rows = {docid: row for row, docid in enumerate(docids)}
        self._vectors = torch.from_numpy(vectors)

    def of(self, docids: Iterable[str]) -> Tensor:
        """The vectors of some documents, `[n, dim] float32`; each must be here."""
        return self._vectors[[self._rows[docid] for docid in docids]]


class PassageVectors:
    """The vectors that a configuration names.

    Args:
        section: where they are.
        source: the configuration's name, for messages.

    Attributes:
        recorded: what is known of their encoder.
        name: what to call the place they come from.

    Raises:
        TrainingError: nothing is named, or twice, or the encoder is not known.
        IndexingError, CollectionError: an index or file cannot be read.
    """

    def __init__(self, section: VectorsSection, source: str) -> None:
        where = f"{source}: passage_vectors"
        if bool(section.index) == bool(section.files):
            raise TrainingError(f"{where} needs either an index or files: name one of the two.")
        places = section.index or section.files
        self._in_index = bool(section.index)
        self._places = [places] if isinstance(places, str) else list(places or [])
        self.name = ", ".join(self._places)
        self.recorded = self._recorded(section.model, where)

    def docids(self) -> Iterator[str]:
        """The docids of all documents."""
        for place in self._places:
            if self._in_index:
                with _open(place) as index:
                    yield from index.docids()
            else:
                for block in VectorSource(place):
                    yield from block.docids

    def load(self, wanted: Collection[str], by: str) -> VectorStore:
        """Read the vectors of some documents into memory.

        Args:
            wanted: their docids.
            by: what names them, for messages.

        Raises:
            TrainingError: some are not there; says how many and which.
        """
        missing = dict.fromkeys(sorted(wanted))
        docids: list[str] = []
        blocks: list[np.ndarray] = [np.empty((0, self.recorded.dimension), np.float32)]
        for place in self._places:
            for found, vectors in self._some(place, missing):
                if vectors.shape[1] != self.recorded.dimension:
                    raise TrainingError(
                        f"the vectors of {place} have {vectors.shape[1]} dimensions and those "
                        f"before them {self.recorded.dimension}: name vectors of one encoder."
                    )
                docids += found
                blocks.append(vectors)
                for docid in found:
                    del missing[docid]
            if not missing:
                break
        if missing:
            raise TrainingError(
                f"{by} names {len(wanted):,} documents of which {self.name} lacks "
                f"{len(missing):,} ({named(missing)}): leave them out, or name the vectors that "
                "have them."
            )
        vectors = np.concatenate(blocks)
        logger.info("%s vectors of %d dimensions.", f"{len(docids):,}", vectors.shape[1])
        return VectorStore(docids, vectors)

    def _some(self, place: str, wanted: dict[str, None]) -> Iterator[tuple[list[str], np.ndarray]]:
        """What a place has of some documents, in blocks."""
        if not self._in_index:
            for block in VectorSource(place):
                rows = [row for row, docid in enumerate(block.docids) if docid in wanted]
                yield [block.docids[row] for row in rows], block.vectors[rows]
            return
        asked = list(wanted)
        with _open(place) as index:
            for start in range(0, len(asked), AT_ONCE):
                part = asked[start : start + AT_ONCE]
                held = index.holds(part)
                part = [docid for docid, there in zip(part, held, strict=True) if there]
                yield part, index.vectors(part)

    def _recorded(self, model: str | None, where: str) -> Recorded:
        known = [self._facts_of(place) for place in self._places]
        dimension, facts = known[0]
        if facts is not None and model is not None:
            raise TrainingError(
                f"{where}.model is {model}, but {self._places[0]} says itself that {facts.model} "
                "made its vectors: leave model out."
            )
        for place, (_, others) in zip(self._places, known, strict=True):
            if (others and others.fingerprint) != (facts and facts.fingerprint):
                raise TrainingError(
                    f"{where}: {place} and {self._places[0]} hold vectors of different encoders: "
                    "train over one encoder's."
                )
        if facts is not None:
            return Recorded(facts.model, facts.fingerprint, dimension, _settings_of(facts))
        if model is None:
            raise TrainingError(
                f"{self._places[0]} does not say which model made its vectors: name it as "
                f"model in {where.rpartition(': ')[2]}."
            )
        loaded = load_model(model, device="cpu")
        if loaded.dim != dimension:
            raise TrainingError(
                f"{where}.model: {model} makes vectors of {loaded.dim} dimensions, and those of "
                f"{self._places[0]} have {dimension}: name the model that made them."
            )
        config = loaded.config
        settings = EncodingSettings(
            loaded.pooling, config.normalize, config.query_prefix, config.document_prefix
        )
        return Recorded(loaded.name, loaded.fingerprint, dimension, settings)

    def _facts_of(self, place: str) -> tuple[int, Any]:
        """The dimension of a place's vectors, and its metadata or manifest; None without."""
        if not self._in_index:
            source = VectorSource(place)
            first = next(iter(source), None)
            if first is None:
                raise TrainingError(f"{place} holds no vectors.")
            return first.vectors.shape[1], source.manifest
        from hypserini.index.metadata import IndexMetadata
        from hypserini.search.index_encoder import model_of

        with _open(place) as index:
            metadata = IndexMetadata.from_user_data(index.metadata, place)
            if metadata is not None:
                metadata.model = model_of(index, metadata)
            return index.dimension, metadata


def _settings_of(facts: Any) -> EncodingSettings:
    return EncodingSettings(facts.pooling, facts.l2_norm, facts.query_prefix, facts.document_prefix)


def _open(place: str) -> Any:
    from hypserini.index.reader import Index

    return closing(Index(place))
