"""The JVM of this process, and what crosses the border between Python and Java.

`import hypserini.jvm` starts nothing; `hypserini.jvm.start()` does, and so does the first class.
"""

from hypserini.jvm.border import (
    LARGEST,
    pack,
    pack_path,
    pack_paths,
    reading,
    reason,
    shared_array,
    unpack,
    unpack_pairs,
    unpack_some,
)
from hypserini.jvm.starting import (
    detach,
    find_jdk,
    java_class,
    limit_heap,
    lucene_version,
    start,
)

__all__ = [
    "LARGEST",
    "detach",
    "find_jdk",
    "java_class",
    "limit_heap",
    "lucene_version",
    "pack",
    "pack_path",
    "pack_paths",
    "reading",
    "reason",
    "shared_array",
    "start",
    "unpack",
    "unpack_pairs",
    "unpack_some",
]
