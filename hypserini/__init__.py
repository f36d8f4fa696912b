"""Hypencoder retrieval inside the Pyserini/Lucene world.

The public names are imported on first use: `import hypserini` starts no JVM and imports no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from hypserini import before_pyserini

if TYPE_CHECKING:
    from hypserini.errors import HypseriniError
    from hypserini.modeling import QNet, load_model, register_q_net
    from hypserini.search import Hit, LuceneHypencoderSearcher
    from hypserini.search.sharded import ShardedHypencoderSearcher
    from hypserini.settings import EncodingSettings

__version__ = "0.1.0"

before_pyserini.watch()

_HOME_OF = {
    "EncodingSettings": "hypserini.settings",
    "Hit": "hypserini.search",
    "HypseriniError": "hypserini.errors",
    "LuceneHypencoderSearcher": "hypserini.search",
    "QNet": "hypserini.modeling",
    "ShardedHypencoderSearcher": "hypserini.search.sharded",
    "load_model": "hypserini.modeling",
    "register_q_net": "hypserini.modeling",
}

__all__ = [
    "EncodingSettings",
    "Hit",
    "HypseriniError",
    "LuceneHypencoderSearcher",
    "QNet",
    "ShardedHypencoderSearcher",
    "load_model",
    "register_q_net",
]


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'hypserini' has no attribute '{name}'")
    return getattr(import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
