"""Why a document scores as it does: what of it is linear, and which words raise or lower it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from html import escape
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from hypserini.encode.encoders import DocumentEncoder, QueryEncoder
from hypserini.errors import ModelError
from hypserini.index.reader import Index
from hypserini.modeling import QNet
from hypserini.modeling.recorded import RecordedEncoder
from hypserini.modeling.tokenizing import alone, known_token
from hypserini.search.rendering import words_html

if TYPE_CHECKING:
    from hypserini.modeling import DualEncoder

STEPS = (32, 64, 128, 256)
"""Points of the way from the baseline to the text; more where fewer do not add up."""

EXACT = 0.01
"""What the parts may miss of the score's distance from the baseline's, as a share of it."""

AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a text and what it adds to the score; below 0, it lowers it."""

    text: str
    value: float


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a text, whose values add up to the score less that of the baseline.

    Attributes:
        baseline: The score of the same text with every word blotted out by the padding token.
        words: In their order.
        missing: What they do not add up to, of the score: the error of the way's few points.
    """

    baseline: float
    words: list[Word]
    missing: float

    def strongest(self, count: int = 3, *, lowering: bool = False) -> list[Word]:
        """The words that raise the score most, or lower it; equal words count together."""
        totals: dict[str, float] = {}
        for word in self.words:
            totals[word.text.lower()] = totals.get(word.text.lower(), 0.0) + word.value
        sign = -1.0 if lowering else 1.0
        found = [Word(text, value) for text, value in totals.items() if sign * value > 0]
        return sorted(found, key=lambda word: -sign * word.value)[:count]

    def _repr_html_(self) -> str:
        return words_html((word.text, word.value) for word in self.words)


@dataclass(frozen=True, slots=True)
class ScoreExplanation:
    """What a score is made of.

    Attributes:
        score: The q-net's, of the vector in the index.
        linear: What the mean linear view of the q-net over the index gives the document: no search
            for a single vector could rank by more than that.
        bent: What the q-net adds to it by not being linear; the two are the score.
        query_words: The query's words, through the hypernetwork; None for a query without text, or
            where they were not asked for.
        document_words: The document's, through its encoder; None where there is no text or encoder.
    """

    docid: str
    score: float
    linear: float
    bent: float
    query_words: Words | None
    document_words: Words | None

    def _repr_html_(self) -> str:
        made_of = f"{self.score:.4f} = {self.linear:.4f} linear {self.bent:+.4f} bent"
        named = (("query", self.query_words), ("document", self.document_words))
        texts = (
            f"<p><small>{name}, {words.baseline:.4f} without words:</small><br>"
            f"{words._repr_html_()}</p>"
            for name, words in named
            if words is not None
        )
        return f"<p><b>{escape(self.docid)}</b> {made_of}</p>{''.join(texts)}"


def explain_score(
    index: Index,
    encoder: QueryEncoder,
    query: str | QNet,
    docid: str,
    contents: str | None,
    *,
    query_words: bool = True,
    max_length: int | None = None,
) -> ScoreExplanation:
    """Explain the score of a document by integrated gradients (Sundararajan et al. 2017).

    Args:
        index: The index that holds the document's vector.
        encoder: Of the queries; its model encodes the document, too.
        query: A text or its q-net.
        docid: The document.
        contents: Its text, if there is one.
        query_words: Trace the query's words, too, which takes about as long as the document's.
        max_length: Tokens of the document that were encoded; None: the model's.

    Raises:
        IndexingError: The index has no vector of the document.
        ModelError: The model's tokens cannot be traced to words.
    """
    model = encoder.model
    vector = torch.from_numpy(index.vectors([docid])).to(model.device, model.dtype)
    q_net = encoder.encode([query]) if isinstance(query, str) else query
    q_net = q_net.to(model.device, model.dtype)
    score = float(q_net.score(vector)[0, 0])
    linear = _linear(index, q_net, vector)
    of_query = None
    if query_words and isinstance(query, str):
        of_query = _query_words(encoder, query, vector)
    document_words = None
    if contents and _encodes_documents(model):
        documents = DocumentEncoder(model, max_length=max_length)
        document_words = _document_words(documents, contents, q_net)
    return ScoreExplanation(docid, score, linear, score - linear, of_query, document_words)


def _encodes_documents(model: DualEncoder) -> bool:
    """Whether a model is that of the documents, too."""
    of_queries = getattr(model.config, "encodes", "") == "queries"
    return not (of_queries or isinstance(model.passage_encoder, RecordedEncoder))


def _linear(index: Index, q_net: QNet, vector: Tensor) -> float:
    some = torch.from_numpy(index.some_vectors).to(q_net.device, q_net.dtype)
    scores, direction = q_net.tangent(some)
    view = scores[0].mean() + (vector[0] - some.mean(dim=0)) @ direction[0]
    return float(view)


def _query_words(encoder: QueryEncoder, text: str, vector: Tensor) -> Words:
    model = encoder.model
    size = () if encoder.blocks is None else (encoder.blocks,)

    def scores(ids: Tensor, mask: Tensor) -> Tensor:
        q_nets = model.encode_queries(ids, mask, *size)
        return q_nets(vector.expand(len(ids), 1, -1))[:, 0]

    return _words(model, model.transformers[0], encoder, text, scores)


def _document_words(encoder: DocumentEncoder, text: str, q_net: QNet) -> Words:
    model = encoder.model

    def scores(ids: Tensor, mask: Tensor) -> Tensor:
        return q_net(model.encode_documents(ids, mask))[0]

    return _words(model, model.transformers[1], encoder, text, scores)


def _words(
    model: DualEncoder,
    transformer: nn.Module,
    encoder: QueryEncoder | DocumentEncoder,
    text: str,
    scores: Callable[[Tensor, Tensor], Tensor],
) -> Words:
    """Integrated gradients from the padding token's embedding to those of the text."""
    ids, of_words, texts = _tokens(encoder, text)
    table: nn.Module = transformer.get_input_embeddings()  # type: ignore[operator]
    row = torch.tensor([ids], device=model.device)
    padding = torch.tensor([[encoder.padding]], device=model.device)
    with torch.no_grad():
        whole, pads = table(row), table(padding)
    blotted = torch.tensor([number is not None for number in of_words], device=model.device)
    start = torch.where(blotted[None, :, None], pads, whole)
    way = whole - start
    with torch.no_grad(), _embedding(table) as embed:
        ends = embed(torch.cat([start, whole]), partial(scores, *_inputs(row, 2))).tolist()
    baseline, score = ends
    values = torch.zeros(len(ids))
    missing = 0.0
    for steps in STEPS:
        values = _integrate(table, row, start, way, steps, scores)
        missing = score - baseline - float(values.sum())
        if abs(missing) <= EXACT * max(abs(score - baseline), 1e-6):
            break
    found = [Word(one, 0.0) for one in texts]
    for number, value in zip(of_words, values.tolist(), strict=True):
        if number is not None:
            found[number] = Word(found[number].text, found[number].value + value)
    return Words(baseline, found, missing)


def _integrate(
    table: nn.Module,
    row: Tensor,
    start: Tensor,
    way: Tensor,
    steps: int,
    scores: Callable[[Tensor, Tensor], Tensor],
) -> Tensor:
    """The integral of the gradient along the way, `[tokens]`, by its midpoints."""
    total = torch.zeros_like(way[0])
    middles = (torch.arange(steps, device=way.device, dtype=way.dtype) + 0.5) / steps
    for some in middles.split(AT_ONCE):
        points = (start + some[:, None, None] * way).requires_grad_()
        with torch.enable_grad(), _embedding(table) as embed:
            found = embed(points, partial(scores, *_inputs(row, len(some))))
            total += torch.autograd.grad(found.sum(), points)[0].sum(dim=0)
    return (total / steps * way[0]).sum(dim=-1).float().cpu()


def _inputs(row: Tensor, count: int) -> tuple[Tensor, Tensor]:
    ids = row.expand(count, -1)
    return ids, torch.ones_like(ids)


@contextmanager
def _embedding(table: nn.Module) -> Iterator[Callable[[Tensor, Callable[[], Tensor]], Tensor]]:
    """Has a table of embeddings give other ones than those of its tokens, `[n, tokens, width]`."""
    given: list[Tensor] = []
    own = threading.get_ident()  # others may encode meanwhile

    def replace(*_: object) -> Tensor | None:
        return given[-1] if given and threading.get_ident() == own else None

    hook = table.register_forward_hook(replace)

    def embed(embeddings: Tensor, work: Callable[[], Tensor]) -> Tensor:
        given.append(embeddings)
        try:
            return work()
        finally:
            given.pop()

    try:
        yield embed
    finally:
        hook.remove()


def _tokens(
    encoder: QueryEncoder | DocumentEncoder, text: str
) -> tuple[list[int], list[int | None], list[str]]:
    """Token ids, the number of the word that each belongs to (None: special), and the words."""
    tokenizer: Any = encoder.model.tokenizer
    prefixed = text if text.startswith(encoder.prefix) else encoder.prefix + text
    with alone():
        found = tokenizer(
            prefixed, truncation=True, max_length=encoder.max_length, return_offsets_mapping=True
        )
    if not tokenizer.is_fast:
        raise ModelError(
            f"the tokenizer of {encoder.model.name} does not say which words its tokens are of."
        )
    numbers: dict[int, int] = {}
    ids: list[int] = []
    of_words: list[int | None] = []
    spans: list[list[int]] = []
    rows = zip(found["input_ids"], found.word_ids(), found["offset_mapping"], strict=True)
    for given, word, (start, end) in rows:
        token = known_token(given, encoder.model.vocabulary_size, tokenizer.unk_token_id)
        if token is None:  # as it is encoded
            continue
        ids.append(token)
        if word is None:
            of_words.append(None)
            continue
        if word not in numbers:
            numbers[word] = len(spans)
            spans.append([start, end])
        spans[numbers[word]][1] = max(spans[numbers[word]][1], end)
        of_words.append(numbers[word])
    return ids, of_words, [prefixed[start:end].strip() for start, end in spans]
