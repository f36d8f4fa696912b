"""What a search is to do, read off the flags once: below this, nothing sees the flags."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypserini.cluster.connection import ClusterOptions
from hypserini.search.resident.residence import ANYWHERE, Residence
from hypserini.settings import AS_THE_FOLDER_SAYS, EncodingSettings

if TYPE_CHECKING:
    from hypserini.search.bm25 import Bm25Options
    from hypserini.search.hybrid import HybridOptions
    from hypserini.search.passages import MaxPassage

HITS_OF_A_TOPIC = 1000
HITS_OF_A_QUERY = 10
HITS_AT_THE_PROMPT = 5


@dataclass(frozen=True, slots=True)
class Place:
    """What is searched, and with what.

    Attributes:
        index: The folders of the index, as given; none for the one that belongs to the topics.
        model: The model's name or folder; None for the one that the index was encoded with.
        settings: How queries are encoded, beyond what index and model say.
        encoded_queries: A folder of saved q-nets, instead of encoding the topics.
        device: As `LuceneHypencoderSearcher` takes it, like the next three.
        dtype: The number format of the arithmetic.
        residence: Whether the dense field is kept on the device.
        max_length: Tokens encoded of a query; None: the model's.
        batch_size: Topics at once.
        threads: Batches side by side.
        q_net_size: Hidden blocks of the q-nets; None: all.
        cascade: Hidden blocks of the q-nets that search, before the whole ones rank; None: one
            search.
        cluster: The Ray cluster whose processes search the shards; None: this process does.
        allow_partial: Do without shards that do not answer.
    """

    index: tuple[str, ...] = ()
    model: str | None = None
    settings: EncodingSettings = AS_THE_FOLDER_SAYS
    encoded_queries: str | None = None
    device: str = "auto"
    dtype: str = "auto"
    residence: Residence = ANYWHERE
    max_length: int | None = None
    batch_size: int = 16
    threads: int = 1
    q_net_size: int | None = None
    cascade: int | None = None
    cluster: ClusterOptions | None = None
    allow_partial: bool = False


@dataclass(frozen=True, slots=True)
class Around:
    """What stands before and after the q-net.

    Attributes:
        rerank_run: A run whose documents are reranked.
        first_stage: `bm25`, or None.
        rerank_depth: Documents reranked of each topic.
        drop_missing: Drop documents that the index does not hold; otherwise they come last.
        adaptive: Score graph neighbours of the best, too.
        budget: Documents scored a topic under `adaptive`.
        bm25: How BM25 ranks, of the first stage and of the hybrid; None where neither is wanted.
        hybrid: How the ranking is fused with BM25's; None: it is not.
        max_passage: How passages become documents; None: they do not.
    """

    rerank_run: str | None = None
    first_stage: str | None = None
    rerank_depth: int = 1000
    drop_missing: bool = False
    adaptive: bool = False
    budget: int | None = None
    bm25: Bm25Options | None = None
    hybrid: HybridOptions | None = None
    max_passage: MaxPassage | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """Where the run goes.

    Attributes:
        path: The file; None: in runs/, by the names of index and topics.
        format: `trec`, `msmarco` or `json`.
        tag: The run's tag; None: by the mode.
    """

    path: Path | None = None
    format: str = "trec"
    tag: str | None = None


@dataclass(frozen=True, slots=True)
class Telling:
    """What is told of the search, and found out before it.

    Attributes:
        cost: Print what a topic cost.
        check: Topics that are searched exhaustively as well.
        target_overlap: The overlap that tangent search is calibrated to first.
        quiet: No progress bar.
        scores: Say what the scores of a query's hits are made of.
    """

    cost: bool = False
    check: int | None = None
    target_overlap: float | None = None
    quiet: bool = False
    scores: bool = False


@dataclass(frozen=True, slots=True)
class SearchPlan:
    """One search: of the topics, of one query, or of those asked for at a prompt.

    Attributes:
        topics: A file or a name; None where there are none.
        query: One query's text; None where there is none.
        mode: A name of `modes.table.MODES`.
        options: The mode's options; None: its defaults.
        filter: A query in Lucene's syntax, or a file of docids.
        hits: How many a topic or query.
        remove_query: Drop the document whose id is the topic's.
        place: What is searched.
        around: What stands before and after.
        output: Where the run goes.
        telling: What is told.
    """

    topics: str | None = None
    query: str | None = None
    mode: str = "auto"
    options: Any = None
    filter: str | None = None
    hits: int = HITS_OF_A_TOPIC
    remove_query: bool = False
    place: Place = Place()
    around: Around = Around()
    output: Output = Output()
    telling: Telling = Telling()

    @property
    def depth(self) -> int:
        """Hits to search for: one more where the query itself may be among them."""
        return self.hits + self.remove_query
