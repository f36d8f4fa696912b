"""How a head is adapted."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AdaptOptions:
    """How a head is adapted.

    Attributes:
        queries: How many are made, those held out among them.
        pairs: Examples to take them from, in place of the collection's texts: the first item of
            each names the document that its query asks for.
        held_out: How many of them are not trained on, at most a fifth: one half chooses the
            checkpoint, the other is what the figures are of.
        candidates: Documents of each query from BM25, and as many from the encoder.
        negatives: Of these so many are drawn in each step.
        teacher: As `open_teacher` takes them.
        weights: Of several teachers.
        blocks: Hidden blocks of the q-net.
        nested: Fewer blocks, whose q-nets are trained beside the whole ones.
        dot_product: Train no q-net, but the query encoder alone: what a head is compared with.
        tune: Tune the query encoder as well.
        epochs: How often the queries are gone through.
        batch_size: Queries a step.
        learning_rate: Of the head; a tuned encoder learns at a tenth of it.
        temperature: Scores are divided by it in the losses: cosines lie close together.
        cross_entropy: The weight of a second loss, of finding the query's own document among all
            candidates of the batch, beside that of ranking as the teacher does.
        in_batch: For that loss; without, the document is to be found among the query's own
            candidates alone, which costs a q-net a fraction of scoring the batch's.
        seed: Of all that is drawn.
    """

    queries: int = 10_000
    pairs: str | None = None
    held_out: int = 500
    candidates: int = 30
    negatives: int = 15
    teacher: tuple[str, ...] = ("bm25", "encoder")
    weights: tuple[float, ...] | None = None
    blocks: int = 2
    nested: tuple[int, ...] = ()
    dot_product: bool = False
    tune: bool = True
    epochs: float = 3.0
    batch_size: int = 32
    learning_rate: float = 2e-4
    temperature: float = 0.05
    cross_entropy: float = 0.0
    in_batch: bool = True
    seed: int = 0

    @property
    def of_the_queries(self) -> tuple[str, ...]:
        """The names of the options that queries, candidates and a teacher's scores follow from."""
        names = ("queries", "pairs", "held_out", "candidates", "negatives", "teacher", "weights")
        return names if self.pairs is not None else (*names, "seed")
