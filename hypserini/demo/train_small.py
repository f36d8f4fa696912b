"""`python -m hypserini.demo.train_small`: train the bundled model again, from nothing.

Learns from the documentation strings of the installed packages and of those in
training-packages.txt, but for the held-out ones, in the stages of `recipe`: word embeddings as a
bi-encoder without layers, then Hypencoders and a bi-encoder that begin as it, each on the same
pairs in the same order, then the same with mined negatives. A stage whose model is there is left
out, so that a stopped command goes on where it was.
"""

from __future__ import annotations

import argparse
import logging
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypserini import cli
from hypserini.demo import recipe
from hypserini.errors import TrainingError
from hypserini.formats.output import atomic_output

if TYPE_CHECKING:
    from hypserini.pydocs.docstrings import Docstring

logger = logging.getLogger(__name__)

PACKAGES = Path(__file__).with_name("training-packages.txt")
PASSES = 6
"""No more passes over the documents are written down; longer training goes over them again."""
VALIDATION_TOPICS = 300
VALIDATION_DOCUMENTS = 6_000


def build_parser() -> argparse.ArgumentParser:
    """The command's flags; the defaults are the bundled model's recipe."""
    parser = cli.Parser(
        prog="python -m hypserini.demo.train_small",
        description="Train the bundled model from nothing, as its model card says.",
    )
    parser.add_argument("--folder", type=Path, default=Path("build/train-small"))
    parser.add_argument(
        "--packages",
        type=Path,
        help="a folder of packages to learn from beside the installed ones "
        "(default: installs training-packages.txt into the folder)",
    )
    parser.add_argument(
        "--models",
        nargs="+",
        choices=list(recipe.MODELS),
        default=[recipe.BUNDLED],
        metavar="NAME",
        help=f"which to train: {', '.join(recipe.MODELS)} (default: {recipe.BUNDLED})",
    )
    parser.add_argument("--word-steps", type=cli.positive_int, default=1200)
    parser.add_argument("--steps", type=cli.positive_int, default=150)
    parser.add_argument("--mined-steps", type=cli.positive_int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cpu", action="store_true", help="leave a GPU alone")
    return parser


def run(args: argparse.Namespace) -> None:
    """Make the data, train stage by stage, and save each model in half precision."""
    import torch

    started = time.perf_counter()
    use_cpu = args.cpu or not torch.cuda.is_available()
    plan = recipe.Recipe(args.folder, args.seed, use_cpu)
    words, pairs = make_data(args)
    stages = {"words": plan.words(words, args.word_steps)}
    stages |= {name: plan.model(name, pairs, args.steps) for name in args.models}
    mined = args.folder / "mined.jsonl"
    stages |= {f"{n}-mined": plan.mined(n, mined, args.mined_steps) for n in args.models}
    for name, config in stages.items():
        if name.endswith("-mined"):
            mine(args, pairs, mined)
        train_stage(name, config, args.folder, progress=not args.quiet)
    minutes = (time.perf_counter() - started) / 60
    logger.info("%d stages in %.0f min. To measure one of the models:", len(stages), minutes)
    for name in stages:
        logger.info("  python -m hypserini.demo --model %s", small_folder(args.folder, name))


def small_folder(folder: Path, name: str) -> Path:
    """Where the half-precision copy of a stage's model is."""
    return folder / "small" / name


def train_stage(name: str, config: dict[str, Any], folder: Path, *, progress: bool) -> None:
    """Train one stage unless its model is there."""
    from hypserini.train.recipe.config import parse_config
    from hypserini.train.trainer import train

    small = small_folder(folder, name)
    if (small / "config.json").exists():
        logger.info("%s is there.", small)
        return
    started = time.perf_counter()
    trained = train(parse_config(config, f"the recipe for {name}"), progress=progress)
    save_half(trained, small)
    logger.info("%s: trained in %.0f min.", name, (time.perf_counter() - started) / 60)


def make_data(args: argparse.Namespace) -> tuple[Path, Path]:
    """Write tokenizer, validation and pairs for the words and for the models; or find them.

    The pairs of a training of other length are others: give it a folder of its own.
    """
    from hypserini.demo.tokenizer import train_wordpiece
    from hypserini.demo.training_pairs import (
        make_pairs,
        one_per_summary,
        without_leaks,
        write_training_data,
    )
    from hypserini.pydocs.docstrings import default_roots, read_docstrings, write_collection

    folder: Path = args.folder
    stages = {
        folder / "words.jsonl": (recipe.WORD_BATCH, args.word_steps),
        folder / "pairs.jsonl": (recipe.BATCH, args.steps + args.mined_steps),
    }
    words, pairs = stages
    if pairs.exists():
        return words, pairs
    packages = args.packages or install_packages(folder / "site")
    everything = list(read_docstrings([*default_roots(), packages]))
    write_validation(everything, folder / "validation")
    docstrings = one_per_summary(without_leaks(everything))
    write_collection(docstrings, folder / "learned.jsonl")
    tokenizer = train_wordpiece(
        (d.contents() for d in docstrings), recipe.VOCABULARY, max_length=recipe.POSITIONS
    )
    tokenizer.save_pretrained(folder / "tokenizer")
    for path, (batch, steps) in stages.items():
        epochs = min(PASSES, 1 + batch * steps // max(1, len(docstrings) // 2))
        made = make_pairs(docstrings, epochs, args.seed, batch=batch)
        count = write_training_data(made, path)
        logger.info("%s: %d pairs of %d documents", path, count, len(docstrings))
    return words, pairs


def write_validation(docstrings: Sequence[Docstring], folder: Path) -> None:
    """Write known-item topics of the validation packages, and documents around them."""
    from hypserini.pydocs.docstrings import write_collection
    from hypserini.pydocs.known_item import (
        VALIDATION,
        draw,
        is_held_out,
        select_topics,
        write_qrels,
        write_topics,
    )

    topics = select_topics(docstrings, VALIDATION_TOPICS, VALIDATION)
    own = {topic.docid for topic in topics}
    usable = [d for d in docstrings if not is_held_out(d)]
    ranked = sorted(
        usable, key=lambda d: (d.docid not in own, d.package not in VALIDATION, draw(d.docid))
    )
    write_topics(topics, folder / "topics.tsv")
    write_qrels(topics, folder / "qrels.txt")
    write_collection(
        ranked[:VALIDATION_DOCUMENTS], folder / "docs.jsonl", without_summary=frozenset(own)
    )


def mine(args: argparse.Namespace, pairs: Path, output: Path) -> None:
    """Add negatives to pairs that no model has seen yet, out of an index of what may be learned.

    Two for each pair are hits of the words, and two of BM25.
    """
    if output.exists():
        return
    folder: Path = args.folder
    index, fresh, half = folder / "index", folder / "fresh.jsonl", folder / "half-mined.jsonl"
    seen = recipe.BATCH * args.steps
    with open(pairs, encoding="utf-8") as file, atomic_output(fresh) as out:
        out.writelines(islice(file, seen, seen + recipe.MINED_BATCH * args.mined_steps))
    if not index.exists():
        learned, words = str(folder / "learned.jsonl"), str(small_folder(folder, "words"))
        flags = ["--collection-path", learned, "--model", words, "--index", str(index)]
        _command("hypserini.index", *flags, "--vectors", "flat")
    flags = ["--index", str(index), "--negatives", "2", "--depth", "20", "--skip-top", "1"]
    flags += ["--too-few", "random", "--seed", str(args.seed)]
    mining = "hypserini.train.mine"
    words_flags = ["--mode", "exhaustive", "--batch-size", "64"]
    _command(mining, *flags, *words_flags, "--input", str(fresh), "--output", str(half))
    _command(mining, *flags, "--input", str(half), "--output", str(output))


def install_packages(folder: Path) -> Path:
    """Install training-packages.txt into a folder of its own, to be read and never imported.

    Raises:
        TrainingError: pip failed.
    """
    if folder.is_dir() and any(folder.iterdir()):
        return folder
    logger.info("installing the packages of %s into %s", PACKAGES.name, folder)
    command = ["pip", "install", "--quiet", "--no-deps", "--no-compile"]
    command += ["--only-binary=:all:", "--target", str(folder), "--requirement", str(PACKAGES)]
    _command(*command)
    return folder


def _command(module: str, *arguments: str) -> None:
    """Run a Python command; its errors are its own."""
    if subprocess.run([sys.executable, "-m", module, *arguments], check=False).returncode:
        raise TrainingError(f"{module} failed, see above: the training ends here.")


def save_half(trained: Path, target: Path) -> None:
    """Save a model once more with its weights in float16: half the size, the same rankings."""
    import torch

    from hypserini.modeling import load_model

    model = load_model(trained, device="cpu")
    model.to(torch.float16)
    model.save_pretrained(target)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    return cli.main(build_parser(), run, argv)


if __name__ == "__main__":
    raise SystemExit(main())
