"""The bundled model: it loads, is small, and knows what a question asks for."""

from __future__ import annotations

from pathlib import Path

import hypserini
from hypserini.encode import DocumentEncoder, QueryEncoder
from hypserini.modeling import load_model

FOLDER = Path(hypserini.__file__).parent / "models" / "hypserini-small"

# Questions and what answers them, few words shared.
ANSWERS = {
    "read a csv file into a table": "read csv\nread_csv(path, sep)\n"
    "Load comma separated values from disk and return them as a data frame with columns.",
    "sort the rows of a table": "sort values\nsort_values(by, ascending)\n"
    "Order rows by one or several columns, ascending or descending.",
    "shortest path between two nodes": "dijkstra\ndijkstra(graph, source, target)\n"
    "Walk the edges of a weighted graph from source to target node with least distance.",
    "send an http request": "client post\npost(url, body, headers, timeout)\n"
    "Submit a request to the server and return the response with its status.",
    "multiply two matrices": "matmul\nmatmul(a, b)\n"
    "Matrix product of two arrays; the inner dimensions must agree.",
    "parse a date from a string": "strptime\nstrptime(text, format)\n"
    "Convert text to a datetime according to the given format of day, month and year.",
    "draw a line on a plot": "axes plot\nplot(x, y, color, linewidth)\n"
    "Plot y versus x as lines and markers in the current figure.",
    "train a classifier": "svc fit\nfit(X, y)\n"
    "Fit the estimator to the training samples and their class labels.",
    "split a string at white space": "str split\nsplit(text, sep, maxsplit)\n"
    "Return the list of words in the text, using sep as the delimiter.",
    "encrypt a message with a key": "cipher\nencrypt(key, plaintext)\n"
    "Return the ciphertext of the data under a secret symmetric key.",
}


def test_it_is_small_and_says_how_it_was_made() -> None:
    size = sum(path.stat().st_size for path in FOLDER.iterdir())
    assert size < 20_000_000
    assert not list(FOLDER.glob("*.bin"))
    assert "train_small" in (FOLDER / "README.md").read_text()


def test_most_questions_find_their_answer_first() -> None:
    model = load_model("hypserini-small", device="cpu")
    assert model.name == "hypserini-small"
    import torch

    vectors = torch.from_numpy(DocumentEncoder(model).encode(list(ANSWERS.values())))
    scores = QueryEncoder(model).encode(list(ANSWERS)).score(vectors)
    first = (scores.argmax(dim=1) == torch.arange(len(ANSWERS))).sum()
    assert first >= 7  # by chance 1 in 10


def test_names_in_code_are_read_as_words() -> None:
    tokenizer = load_model("hypserini-small", device="cpu").tokenizer
    assert tokenizer.tokenize("DataFrame.to_csv(HTTPServer)") == [
        *["data", "frame", "to", "csv"],
        *["http", "server"],
    ]
