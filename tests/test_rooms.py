"""The laws of the rooms, read off the sources: no import upwards and no circle, none at all.

An import counts wherever it stands: at the head of a file, inside a function, or for types alone.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "hypserini"


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imports(module: str) -> Iterator[str]:
    """The modules of ours that a module imports, wherever in it."""
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield name if name in MODULES else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.Constant) and node.value in MODULES and "." in node.value:
            yield node.value  # import_module("hypserini.search.searcher") is an import, too


GRAPH = {
    module: {name for name in imports(module) if name in MODULES and name != module}
    for module in MODULES
}


def rooms_from_the_bottom() -> list[str]:
    """The rooms in the order of ARCHITECTURE.md's table."""
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`hypserini/.*?) \|", text, re.MULTILINE)
    names = [name for row in rows for name in re.findall(r"`hypserini/(\w+)(?:\.py|/)`", row)]
    return list(dict.fromkeys(names))


def room(module: str) -> str:
    return module.split(".")[1]


def test_every_room_stands_in_the_table():
    there = {room(module) for module in MODULES if module != "hypserini"}
    assert there - {"models"} == set(rooms_from_the_bottom()) - {"models"}


def test_no_room_imports_a_higher_one():
    height = {name: place for place, name in enumerate(rooms_from_the_bottom())}
    upward = [
        f"{module} imports {other}"
        for module, others in GRAPH.items()
        if module != "hypserini"  # the public names: the roof over all rooms
        for other in others
        if other == "hypserini" or height[room(other)] > height[room(module)]
    ]
    assert upward == []


def test_no_circle():
    circles, done, path = [], set(), []

    def visit(module: str) -> None:
        if module in path:
            circles.append(" -> ".join([*path[path.index(module) :], module]))
        elif module not in done:
            path.append(module)
            for other in sorted(GRAPH[module]):
                visit(other)
            done.add(path.pop())

    for module in GRAPH:
        visit(module)
    assert circles == []


def test_tests_mirror_the_package():
    """A test file is named for the file it tests, in the folder of the same name."""
    strange = [
        str(path.relative_to(ROOT))
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        if path.parent != ROOT / "tests"
        and not (PACKAGE / path.parent.relative_to(ROOT / "tests")).is_dir()
    ]
    assert strange == []
