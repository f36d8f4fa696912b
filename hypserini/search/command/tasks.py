"""The tasks of the search command: write a run, print one query's hits, answer at a prompt."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from hypserini import defaults, jvm
from hypserini.encode.saved import SavedQNets
from hypserini.errors import IndexingError, TopicsError
from hypserini.formats.runs import write_run
from hypserini.formats.topics import Topics, load_topics
from hypserini.search.bm25 import Bm25
from hypserini.search.cascade import Cascade
from hypserini.search.command.default_run import default_run
from hypserini.search.command.explanation import Explanation
from hypserini.search.command.plan import SearchPlan
from hypserini.search.command.prompt import answer, read_query
from hypserini.search.command.scores import scores_told
from hypserini.search.command.stages import Stages
from hypserini.search.filters import Filter, make_filter
from hypserini.search.index_encoder import check_q_nets
from hypserini.search.passages import stored_docid
from hypserini.search.ranking import Hit, Hits
from hypserini.search.searcher import LuceneHypencoderSearcher
from hypserini.search.sharded import ShardedHypencoderSearcher

SNIPPET = 200


def perform(plan: SearchPlan) -> Iterator[str]:
    """Do what the plan says; yields the lines to print as they come.

    Raises:
        HypseriniError: Something that the plan names is missing, malformed or does not fit.
    """
    if plan.topics is not None:
        yield from write_topics(plan, load_topics(plan.topics))
    elif plan.query is not None:
        yield from ask(plan, plan.query)
    else:
        yield from converse(plan)


def write_topics(plan: SearchPlan, topics: Topics) -> Iterator[str]:
    """Search with all topics and write the run."""
    index = find_index(plan, topics)
    output = plan.output.path or default_run(index, topics)
    texts = dict(topics.items)
    jvm.start()  # before a file is open: a JVM that fails may end the process without a word to us
    # Opened before the model is loaded: a path that cannot be written costs no time.
    with (
        write_run(output, plan.output.format, tag=plan.output.tag or "hypserini") as writer,
        Stages(plan, index, topics) as around,
        open_searcher(plan, index) as searcher,
    ):
        wanted = make_filter(searcher.index, plan.filter)
        told = Explanation(plan, searcher, topics, wanted)
        yield from told.calibrate()
        started = time.perf_counter()
        hits = 0
        rankings = told.watch(search_topics(plan, searcher, topics, around, wanted))
        with _reporting_cut(plan, searcher):
            for qid, ranking in around.finish(rankings, wanted):
                writer.tag = told.tag + "".join(f"-without-{name}" for name in searcher.without)
                writer.write(qid, ranking, texts[qid], text_of(searcher, ranking))
                hits += len(ranking)
        seconds = time.perf_counter() - started
        yield from told.lines()
    around.report()
    yield f"{output}: {len(topics):,} topics, {hits:,} hits, {seconds:.1f} s"


def text_of(
    searcher: LuceneHypencoderSearcher, ranking: Iterable[Hit]
) -> Callable[[str], str | None]:
    """What gives the text of a docid of a ranking: that of the best passage, for a document's."""
    stored = {hit.docid: stored_docid(hit) for hit in ranking}
    return lambda docid: searcher.contents(stored[docid])


def find_index(plan: SearchPlan, topics: Topics | None) -> list[Path]:
    """The folders to search: the plan's, `$HYPSERINI_INDEX`, or that of the topics' collection."""
    family = defaults.COLLECTIONS.get(topics.family or "") if topics else defaults.DEMO_COLLECTION
    named = plan.place.index
    if not named and (variable := os.environ.get(defaults.INDEX_VARIABLE)):
        named = (variable,)
    if named:
        return [_named_index(name) for name in named]
    if family is None:
        raise TopicsError(
            f"no default index belongs to the topics {plan.topics}: name one with --index or"
            f" ${defaults.INDEX_VARIABLE}."
        )
    index = defaults.default_index(family, plan.place.model)
    return [require_index(index, family.build_command)]


def _named_index(name: str) -> Path:
    path = defaults.index_path(name)
    if not path.exists() and (defaults.index_root() / path).exists():
        return defaults.index_root() / path
    return require_index(path, f"python -m hypserini.index --collection COLLECTION --index {name}")


def require_index(path: Path, build_command: str) -> Path:
    """Return `path` if there is something; the error names the command that builds the index."""
    if path.exists():
        return path
    raise IndexingError(f"the index {path} is not there; build it with: {build_command}")


def open_searcher(plan: SearchPlan, index: Sequence[Path]) -> LuceneHypencoderSearcher:
    """The searcher of a plan; errors of the model come before the first topic."""
    kind: Callable[..., LuceneHypencoderSearcher] = LuceneHypencoderSearcher
    if plan.place.cluster is not None:
        kind = partial(
            ShardedHypencoderSearcher,
            cluster=plan.place.cluster,
            allow_partial=plan.place.allow_partial,
        )
    searcher = kind(
        index,
        plan.place.model,
        settings=plan.place.settings,
        device=plan.place.device,
        dtype=plan.place.dtype,
        residence=plan.place.residence,
        max_length=plan.place.max_length,
        batch_size=plan.place.batch_size,
        mode=plan.mode,
        options=plan.options,
        q_net_size=plan.place.q_net_size,
        cascade=None if plan.place.cascade is None else Cascade(plan.place.cascade),
    )
    if not plan.place.encoded_queries:
        _ = searcher.encoder
    return searcher


def search_topics(
    plan: SearchPlan,
    searcher: LuceneHypencoderSearcher,
    topics: Topics,
    around: Stages,
    filter: Filter | None,
) -> Iterator[tuple[str, Hits]]:
    """The rankings of all topics in order, under a progress bar."""
    qids, k = topics.qids, plan.depth
    with tqdm(total=len(qids), desc="searching", unit=" topics", disable=plan.telling.quiet) as bar:
        how = {**around.search_options, "filter": filter}
        if plan.place.encoded_queries:
            rankings = search_encoded(plan, searcher, qids, how)
        else:
            rankings = searcher.stream_search(topics.texts, qids, k, plan.place.threads, **how)
        for qid, ranking in rankings:
            yield qid, ranking
            bar.update()


def search_encoded(
    plan: SearchPlan,
    searcher: LuceneHypencoderSearcher,
    qids: list[str],
    how: dict[str, Any],
) -> Iterator[tuple[str, Hits]]:
    """The rankings of topics whose q-nets were saved; they are read a batch at a time."""
    folder = plan.place.encoded_queries
    assert folder is not None
    saved = SavedQNets(folder)
    check_q_nets(saved.metadata, folder, searcher.index, searcher.metadata)
    for start in range(0, len(qids), plan.place.batch_size):
        batch = qids[start : start + plan.place.batch_size]
        q_nets = saved.load(batch)
        q_nets_of = [q_nets[i] for i in range(len(batch))]
        yield from searcher.stream_search(q_nets_of, batch, plan.depth, **how)


def ask(plan: SearchPlan, query: str) -> Iterator[str]:
    """The hits of one query with a title or the beginning of the text."""
    index = find_index(plan, None)
    topics = Topics("query", [("query", query)])
    with Stages(plan, index, topics) as around, open_searcher(plan, index) as searcher:
        wanted = make_filter(searcher.index, plan.filter)
        found = searcher.stream_search(
            topics.texts, topics.qids, plan.hits, filter=wanted, **around.search_options
        )
        with _reporting_cut(plan, searcher):
            [(_, hits)] = around.finish(found, wanted)
        for rank, hit in enumerate(hits, start=1):
            document = searcher.doc(stored_docid(hit))
            text = " ".join(document.shown().split()) if document else ""
            yield f"{rank:3} {hit.score:10.4f}  {hit.docid}\n      {text[:SNIPPET]}"
            if plan.telling.scores:
                yield from scores_told(searcher.explain(query, stored_docid(hit)))


def converse(plan: SearchPlan) -> Iterator[str]:
    """Ask for queries until an empty line; yields what BM25 and the q-nets find."""
    index = find_index(plan, None)
    with Bm25(index, plan.around.bm25) as bm25, open_searcher(plan, index) as searcher:
        wanted = make_filter(searcher.index, plan.filter)
        yield f"{', '.join(map(str, index))}: {searcher.num_docs:,} documents. An empty line ends."
        while query := read_query():
            width = shutil.get_terminal_size().columns
            with _reporting_cut(plan, searcher):
                lines = answer(searcher, bm25, query, plan.hits, width, wanted)
            yield "\n".join(lines)


@contextmanager
def _reporting_cut(plan: SearchPlan, searcher: LuceneHypencoderSearcher) -> Iterator[None]:
    """Tell at the end how many queries were longer than the model, or the user, lets them be."""
    encoder = None if plan.place.encoded_queries else searcher.encoder
    before = encoder.truncated if encoder else 0
    yield
    if encoder:
        encoder.report_cut(encoder.truncated - before)
