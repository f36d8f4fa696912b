"""A real collection from what is already installed: the documentation strings of Python packages.

The sources are parsed, never imported: nothing is run, and a package that is broken or needs a GPU
is as good as any other. One document is one public module, class, function or method.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import json
import os
import re
import sysconfig
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from hypserini.errors import CollectionError
from hypserini.formats.output import atomic_output

MINIMUM_WORDS = 4
"""A documentation string with fewer words says nothing that could be searched for."""

MAXIMUM_CHARACTERS = 4000
"""Longer texts are cut: the small model reads about 800 characters, BM25 gains little beyond."""

MAXIMUM_SIGNATURE = 200

# Tests, vendored copies of other packages and generated code document nothing of their own.
_SKIPPED_FOLDERS = frozenset(
    {"test", "tests", "testing", "_testing"}
    | {"_vendor", "vendor", "vendored", "_vendored", "extern", "_externals", "externals"}
    | {"node_modules", "__pycache__", "site-packages"}
    | {"lib2to3", "idlelib", "turtledemo", "ensurepip", "pip"}
)
# Calls that attach a documentation string to a compiled function: numpy, scipy.special, torch.
_ATTACHING_CALLS = frozenset({"add_newdoc", "add_docstr", "_add_docstr"})
# A line that underlines a heading.
_RULE = re.compile(r"(?m)^[ \t]*([=\-~^*#])\1{2,}[ \t]*$")
_TRIPLE_QUOTE = re.compile(rb'"""|\'\'\'')


@dataclass(frozen=True, slots=True)
class Docstring:
    """One documented name.

    `docid` is `package.module.qualified_name`; `signature` the parameters' names in brackets, empty
    for modules; `summary` the first sentence or paragraph in one line; `rest` the text after it.
    """

    docid: str
    package: str
    signature: str
    summary: str
    rest: str

    @property
    def name(self) -> str:
        """The name itself: the last part of the docid."""
        return self.docid.rpartition(".")[2]

    @property
    def text(self) -> str:
        """The whole documentation string."""
        return f"{self.summary}\n\n{self.rest}" if self.rest else self.summary

    def contents(self, *, with_summary: bool = True) -> str:
        """The text that is indexed: the name in words, name and signature, and the text.

        Without the summary it is the document of a known-item topic whose query the summary is.
        """
        text = self.text if with_summary else self.rest
        return f"{name_in_words(self.docid)}\n{self.name}{self.signature}\n{text}"

    def as_json(self, *, with_summary: bool = True) -> str:
        """One line of a Pyserini JSON collection, with `title` and `package` as further fields."""
        return json.dumps(
            {
                "id": self.docid,
                "contents": self.contents(with_summary=with_summary),
                "title": self.docid,
                "package": self.package,
            },
            ensure_ascii=False,
        )


def name_in_words(docid: str) -> str:
    """The last two parts of a dotted name in words: `a.DataFrame.to_csv` -> `data frame to csv`."""
    last = ".".join(docid.split(".")[-2:])
    last = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", last)
    return " ".join(re.sub(r"[\W_]+", " ", last).lower().split())


def default_roots() -> list[Path]:
    """The folders that hold the running interpreter's standard library and installed packages."""
    paths = sysconfig.get_paths()
    return list(dict.fromkeys(Path(paths[key]) for key in ("purelib", "platlib", "stdlib")))


def packages_in(roots: Sequence[str | os.PathLike[str]]) -> dict[str, Path]:
    """The public top-level packages and modules under `roots`, sorted by name; the first root wins.

    Raises:
        CollectionError: a root is not a folder.
    """
    found: dict[str, Path] = {}
    for root in map(Path, roots):
        if not root.is_dir():
            raise CollectionError(f"{root} is not a folder of Python packages.")
        for path in sorted(root.iterdir()):
            name = path.stem if path.suffix == ".py" else path.name
            if not name.isidentifier() or name.startswith("_") or name in _SKIPPED_FOLDERS:
                continue
            if path.is_dir() or path.suffix == ".py":
                found.setdefault(name, path)
    return dict(sorted(found.items()))


def read_docstrings(
    roots: Sequence[str | os.PathLike[str]] | None = None,
    *,
    processes: int | None = None,
    keep: Callable[[str], bool] = lambda package: True,
) -> Iterator[Docstring]:
    """Yield the documentation strings of all packages under `roots`, each text once.

    The order depends on the files alone: packages by name, files by path, names as they stand.

    Args:
        roots: folders of packages; by default those of the running interpreter.
        processes: worker processes that parse; by default one a core, at most 8. 1 uses none.
        keep: which top-level packages are read.

    Raises:
        CollectionError: a root is not a folder.
    """
    packages = packages_in(default_roots() if roots is None else roots)
    files = [file for name, path in packages.items() if keep(name) for file in _sources(name, path)]
    batches = [files[i : i + 64] for i in range(0, len(files), 64)]
    processes = min(processes or os.cpu_count() or 1, 8, len(batches) or 1)
    seen_ids: set[str] = set()
    seen_texts: set[bytes] = set()
    for docstring in _parse_all(batches, processes):
        digest = hashlib.blake2b(plain(docstring.text).encode(), digest_size=12).digest()
        if docstring.docid not in seen_ids and digest not in seen_texts:
            seen_ids.add(docstring.docid)
            seen_texts.add(digest)
            yield docstring


def write_collection(
    docstrings: Iterable[Docstring],
    path: str | os.PathLike[str],
    *,
    without_summary: frozenset[str] = frozenset(),
) -> int:
    """Write a Pyserini JSON-lines collection and return the number of documents.

    The documents whose docid is in `without_summary` are written without their summary.
    """
    count = 0
    with atomic_output(path) as file:
        for docstring in docstrings:
            line = docstring.as_json(with_summary=docstring.docid not in without_summary)
            file.write(line + "\n")
            count += 1
    return count


def parse_source(source: bytes, module: str, package: str) -> Iterator[Docstring]:
    """Yield the documentation strings in one module's source; nothing when it does not parse."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes in other people's strings
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    yield from _walk(tree, module, package)


def _walk(node: ast.AST, path: str, package: str) -> Iterator[Docstring]:
    if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return
    text = ast.get_docstring(node, clean=True)
    if text:
        yield from _make(path, package, _signature(node), text)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return  # what is defined inside a function is nobody else's
    for child in _definitions(node.body):
        if isinstance(child, ast.Expr):
            yield from _attached(child, path, package)
        elif not child.name.startswith("_"):
            yield from _walk(child, f"{path}.{child.name}", package)


def _definitions(
    body: Iterable[ast.stmt],
) -> Iterator[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef | ast.Expr]:
    """The definitions of a body and the calls in it, also those under `if` and `try`."""
    for child in body:
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef | ast.Expr):
            yield child
        elif isinstance(child, ast.If):
            yield from _definitions([*child.body, *child.orelse])
        elif isinstance(child, ast.Try):
            yield from _definitions(child.body)


def _attached(node: ast.Expr, path: str, package: str) -> Iterator[Docstring]:
    """What `add_newdoc("module", "name", text)` or `add_docstr(torch.abs, text)` documents."""
    call = node.value
    if not isinstance(call, ast.Call) or len(call.args) < 2:
        return
    function = call.func
    called = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    if called not in _ATTACHING_CALLS:
        return
    target, last = call.args[:-1], call.args[-1]
    if isinstance(last, ast.Tuple) and len(last.elts) == 2:  # numpy's ("method", text)
        target, last = [*target, last.elts[0]], last.elts[1]
    text = _constant_text(last)
    if len(target) == 1 and not isinstance(target[0], ast.Constant):
        name = ast.unparse(target[0]).removeprefix(f"{package}.")
    else:
        parts = [_constant_text(part) for part in target]
        name = ".".join(part for part in parts if part).removeprefix(f"{package}.")
    if text and name and not any(part.startswith("_") for part in name.split(".")[-1:]):
        yield from _make(f"{package}.{name}", package, "", inspect.cleandoc(text))


def _constant_text(node: ast.expr) -> str:
    """The text of a string, of a sum of strings and of `"...".format(...)`; else nothing."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _constant_text(node.left) + _constant_text(node.right)
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "format"
    ):
        return _constant_text(node.func.value)
    return ""


def _signature(node: ast.AST) -> str:
    """The names of the parameters in brackets; for a class those of its `__init__`."""
    if isinstance(node, ast.ClassDef):
        makers = (n for n in node.body if isinstance(n, ast.FunctionDef) and n.name == "__init__")
        maker = next(makers, None)
        return _signature(maker) if maker is not None else ""
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return ""
    parameters = node.args
    names = [a.arg for a in [*parameters.posonlyargs, *parameters.args, *parameters.kwonlyargs]]
    names = [name for name in names if name not in ("self", "cls") and not name.startswith("_")]
    return f"({', '.join(names)})"[:MAXIMUM_SIGNATURE]


def _make(docid: str, package: str, signature: str, text: str) -> Iterator[Docstring]:
    text = text.encode("utf-8", "ignore").decode()[:MAXIMUM_CHARACTERS].strip()
    if len(re.findall(r"[^\W\d_]{2,}", text)) < MINIMUM_WORDS:
        return
    summary, rest = split_summary(text, docid.rpartition(".")[2])
    yield Docstring(docid, package, signature, summary, rest)


def split_summary(text: str, name: str = "") -> tuple[str, str]:
    """Split a documentation string into its summary, in one line, and the rest.

    The summary is the first paragraph, or its first sentence when the paragraph goes on; a first
    paragraph that only repeats the signature (`abs(input) -> Tensor`) belongs to the rest.
    """
    paragraphs = re.split(r"\n[ \t]*\n", text.strip(), maxsplit=2)
    heading = ""
    if name and len(paragraphs) > 1 and re.match(rf"[\w.]*\b{re.escape(name)}\s*\(", paragraphs[0]):
        heading, paragraphs = paragraphs[0], paragraphs[1:]
    first = " ".join(_RULE.sub(" ", paragraphs[0]).split())
    sentence = re.match(r"(.{12,}?[.!?])\s+(?=[A-Z`\[(:])", first)
    more = ""
    if sentence and not re.search(r"\b(?:e\.g|i\.e|etc|vs|cf)\.$", sentence.group(1)):
        first, more = sentence.group(1), first[sentence.end() :]
    rest = "\n\n".join(part for part in (heading, more, *paragraphs[1:]) if part)
    return first, rest.strip()


def plain(text: str) -> str:
    """The words of a text alone, by which two texts are compared."""
    return " ".join(re.findall(r"\w+", text.lower()))


def _sources(package: str, path: Path) -> Iterator[tuple[str, str, str]]:
    """The source files of one package: (file, module, package), sorted by path."""
    if path.is_file():
        yield str(path), package, package
        return
    for folder, folders, files in os.walk(path):
        folders[:] = sorted(f for f in folders if f not in _SKIPPED_FOLDERS and f.isidentifier())
        module = ".".join([package, *Path(folder).relative_to(path).parts])
        for file in sorted(files):
            stem, dot, suffix = file.rpartition(".")
            if dot and suffix == "py" and stem.isidentifier() and not stem.startswith("test_"):
                name = module if stem == "__init__" else f"{module}.{stem}"
                yield os.path.join(folder, file), name, package


def _parse_batch(batch: Sequence[tuple[str, str, str]]) -> list[Docstring]:
    found: list[Docstring] = []
    for path, module, package in batch:
        try:
            source = Path(path).read_bytes()
        except OSError:
            continue  # a broken link among installed files is not ours to mend
        if _TRIPLE_QUOTE.search(source):  # skips half of all files before the slow parser
            found.extend(parse_source(source, module, package))
    return found


def _parse_all(
    batches: Sequence[Sequence[tuple[str, str, str]]], processes: int
) -> Iterator[Docstring]:
    if processes <= 1:
        for batch in batches:
            yield from _parse_batch(batch)
        return
    # Spawned, not forked: the parent may hold a JVM or torch's threads.
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for found in pool.map(_parse_batch, batches):
            yield from found
