"""The documentation does as it says: its commands and Python run, its links and pictures are there.

The pages are README.md and docs/*.md. Blocks of shell and Python run in their order, each page in a
folder of its own with a small collection, its index by the bundled model, topics, judgements and
runs. Of a block that cannot run here, and says so in its first line (`# not run by the tests`), the
commands are parsed by the real command line. Of other programs' lines it is looked up what can be:
targets of make, extras of pip, options of Pyserini.
"""

from __future__ import annotations

import ast
import importlib.util
import re
import runpy
import shlex
import shutil
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import pytest
from conftest import make_documents, write_jsonl
from pyserini_offline import offline

from hypserini import LuceneHypencoderSearcher, cli
from hypserini.search.bm25 import Bm25

pytestmark = pytest.mark.long

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES_BELOW = sorted((ROOT / "docs").glob("*/*.md"))
PARSED = {
    # What these tell of is run by tests of its own, and would serve, train or start a cluster here.
    *("serve.md", "reproduce.md", "shards.md", "gpu.md", "heads.md", "train.md"),
}
NOT_RUN = ("# not run by the tests", "# as it was, with Pyserini")
SHELL = re.compile(r"^(?:\w+=\S+ )*(?:make|pip|python|torchrun|curl|ray)\b", re.MULTILINE)
FENCE = re.compile(r"^( *)```([^\n`]*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block: its page, the line it begins at, its language and what stands in it."""

    page: Path
    line: int
    language: str
    text: str

    @property
    def runs(self) -> bool:
        return self.page.name not in PARSED and not self.text.startswith(NOT_RUN)

    @property
    def commands(self) -> Iterator[list[str]]:
        for line in self.text.replace("\\\n", " ").splitlines():
            if words := shlex.split(line, comments=True):
                yield words


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    found = []
    for match in FENCE.finditer(text):
        language = match[2].split()[0] if match[2].strip() else ""
        if not language and SHELL.search(match[3]):
            language = "bash"
        line = text.count("\n", 0, match.start()) + 1
        found.append(Block(page, line, language, match[3]))
    return found


def names(pages: list[Path]) -> list[str]:
    return [str(page.relative_to(ROOT)) for page in pages]


# --- running --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that the documentation speaks of, as small as they can be."""
    place = tmp_path_factory.mktemp("documented")
    documents = make_documents(60)
    write_jsonl(place / "corpus.jsonl", documents)
    write_jsonl(place / "more.jsonl", [{"id": "new", "contents": "sparse graph walk outdated"}])
    (place / "topics.tsv").write_text("1\tgraph walk\n2\tsorted table\n3\tneural network\n")
    (place / "qrels.txt").write_text("1 0 doc0001 1\n2 0 doc0002 1\n3 0 doc0003 1\n")
    (place / "allowed.txt").write_text("doc0001\ndoc0002\ndoc0007\n")
    command(
        "hypserini.index", "--collection", place / "corpus.jsonl", "--index", place / "indexes/mine"
    )
    (place / "runs").mkdir()
    with Bm25(place / "indexes/mine") as bm25, open(place / "runs/bm25.txt", "w") as file:
        for qid, query in (("1", "graph walk"), ("2", "sorted table"), ("3", "neural network")):
            for rank, hit in enumerate(bm25.search(query, 20), start=1):
                file.write(f"{qid} Q0 {hit.docid} {rank} {hit.score:.6f} bm25\n")
    shutil.copy(place / "runs/bm25.txt", place / "runs/mine.txt")
    return place


@pytest.fixture
def workplace(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it for one page, which is the working folder."""
    place = tmp_path / "here"
    shutil.copytree(made, place)
    monkeypatch.chdir(place)
    return place


DONE: set[tuple[str, ...]] = set()
"""Commands that ran on an earlier page: what they make, the workplace has from the start."""


def makes_the_index(line: str) -> bool:
    return re.search("--(collection|vectors-from)", line) is not None


def command(module: str, *words: object) -> None:
    """Run one of our commands in this process; it must end well."""
    status = import_module(f"{module}.__main__").main([*map(str, words), "--quiet"])
    assert status == 0, f"python -m {module} {shlex.join(map(str, words))}"


def run_pyserini(module: str, words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    offline()
    monkeypatch.setattr("sys.argv", [module, *words])
    runpy.run_module(module, run_name="__main__", alter_sys=True)


@pytest.mark.parametrize("name", names(PAGES))
def test_the_blocks_of_a_page_run(name: str, request, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [block for block in blocks(ROOT / name) if block.language in ("bash", "python")]
    running = "".join(block.text for block in found if block.runs)
    if running:
        workplace = request.getfixturevalue("workplace")
        first = re.search(r"-m hypserini.*", running)
        if first and makes_the_index(first[0]) and tuple(shlex.split(first[0])) not in DONE:
            shutil.rmtree(workplace / "indexes")
    variables: dict[str, object] = {}
    for block in found:
        if block.language == "python":
            code = compile(block.text, f"{name}:{block.line}", "exec")
            if block.runs:
                exec(code, variables)
            continue
        for words in block.commands:
            check(words)
            if not block.runs or words[:2] != ["python", "-m"]:
                continue
            if tuple(words[1:]) in DONE:
                continue
            DONE.add(tuple(words[1:]))
            if words[2].startswith("hypserini"):
                command(*words[2:])
            elif words[2].startswith("pyserini"):
                run_pyserini(words[2], words[3:], monkeypatch)
    for opened in variables.values():
        if isinstance(opened, LuceneHypencoderSearcher):
            opened.close()


# --- looking up -----------------------------------------------------------------------------------


def check(words: list[str]) -> None:
    """A command must be one: accepted by its parser, or there at all."""
    while words and re.match(r"\w+=", words[0]):
        words = words[1:]
    if not words:
        return
    if "-m" in words and words[0] in ("python", "torchrun"):
        module, *flags = words[words.index("-m") + 1 :]
        if module.startswith("hypserini"):
            parse(module, flags)
        elif module.startswith("pyserini"):
            assert {flag for flag in flags if flag.startswith("--")} <= pyserini_options(module)
        else:
            assert importlib.util.find_spec(module), module
    elif words[0] == "make":
        targets = [word for word in words[1:] if "=" not in word]
        makefile = (ROOT / "Makefile").read_text()
        assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets), words
    elif words[0] == "pip":
        extras = re.findall(r"\[(.*?)\]", words[-1])
        known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        assert {one for some in extras for one in some.split(",")} <= set(
            known["optional-dependencies"]
        )
    else:
        assert words[0] in ("curl", "ray", "source", "export", "git", "cd"), words


def parse(module: str, flags: list[str]) -> None:
    """Have a command parse its flags, and do nothing else."""

    def only_parse(parser, _, argv=None) -> int:
        cli.add_common_arguments(parser)
        try:
            parser.parse_args(argv)
        except SystemExit as ended:
            raise AssertionError(f"python -m {module} {shlex.join(flags)}") from ended
        return 0

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cli, "main", only_parse)
        import_module(f"{module}.__main__").main(flags)


def pyserini_options(module: str) -> set[str]:
    """The options that a module of Pyserini adds to its parsers, read off its source."""
    folder = Path(next(iter(importlib.util.find_spec("pyserini").submodule_search_locations)))
    path = folder.joinpath(*module.split(".")[1:])
    source = (path / "__main__.py" if path.is_dir() else path.with_suffix(".py")).read_text()
    return {
        argument.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "add_argument"
        for argument in node.args
        if isinstance(argument, ast.Constant)
    }


def test_the_marker_is_rare_and_every_block_says_what_it_is() -> None:
    found = [block for page in PAGES for block in blocks(page)]
    run = [block for block in found if block.language in ("bash", "python") and block.runs]
    marked = [block for block in found if block.text.startswith(NOT_RUN)]
    assert len(run) > 2 * len([block for block in marked if block.page.name not in PARSED])
    assert {block.language for block in found} <= {
        "bash",
        "python",
        "yaml",
        "json",
        "nginx",
        "text",
        "",
    }


def test_pyserinis_names_in_the_migration_tables_are_pyserinis() -> None:
    """Each option in a table's left column is one of the modules that its heading names."""
    for section in (ROOT / "docs/migrate.md").read_text().split("\n## ")[1:]:
        heading, _, body = section.partition("\n")
        modules = re.findall(r"`(pyserini\.[\w.]+)`", heading)
        if ".hybrid" in heading:
            modules = ["pyserini.search.lucene", "pyserini.search.hybrid", "pyserini.fusion"]
        if not modules:
            continue
        known = set().union(*map(pyserini_options, modules))
        left = [line.split("|")[1] for line in body.splitlines() if line.startswith("|")]
        told = {flag for cell in left for flag in re.findall(r"--[A-Za-z][\w.-]*", cell)}
        assert told <= known, f"{heading}: {sorted(told - known)}"
        ours = {
            flag
            for cell in body.splitlines()
            if cell.startswith("|")
            for flag in re.findall(r"--[A-Za-z][\w.-]*", cell.split("|")[2])
        }
        assert ours <= our_options(), f"{heading}: {sorted(ours - our_options())}"


def our_options() -> set[str]:
    known: set[str] = set()

    def note(parser, *_) -> int:
        known.update(name for action in parser._actions for name in action.option_strings)
        return 0

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cli, "main", note)
        for module in ("index", "encode", "search", "evaluate"):
            import_module(f"hypserini.{module}.__main__").main([])
    return known


# --- links ----------------------------------------------------------------------------------------


def slug(heading: str) -> str:
    """The anchor that a heading gets, here and on the site."""
    return re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower())


@pytest.mark.parametrize("name", [*names(PAGES), *names(PAGES_BELOW), "ARCHITECTURE.md"])
def test_every_link_leads_somewhere(name: str) -> None:
    page = ROOT / name
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), f"{name}: {target}"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", there.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in map(slug, headings), f"{name}: {target}"


def test_every_page_stands_in_the_navigation_of_the_site() -> None:
    """And every page that stands there exists."""
    config = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    told = re.findall(r"([\w/-]+\.md)$", config, re.MULTILINE)
    there = [str(page.relative_to(ROOT / "docs")) for page in [*PAGES[1:], *PAGES_BELOW]]
    assert sorted(told) == sorted(there)


def test_the_reference_names_what_there_is() -> None:
    for page in PAGES_BELOW:
        for name in re.findall(r"^::: ([\w.]+)$", page.read_text(encoding="utf-8"), re.MULTILINE):
            if (ROOT / Path(*name.split("."))).with_suffix(".py").exists():
                continue
            module, _, member = name.rpartition(".")
            source = (ROOT / Path(*module.split("."))).with_suffix(".py")
            defined = {getattr(node, "name", "") for node in ast.parse(source.read_text()).body}
            assert member in defined, f"{page}: {name}"
