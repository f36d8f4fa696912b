"""Fail unless the newest wheel of a folder carries a jar for each line of Lucene, and no other."""

import sys
import zipfile
from pathlib import Path

from hypserini.jvm.jar import jar_name

wheels = sorted(Path(sys.argv[1]).glob("hypserini-*.whl"), key=lambda path: path.stat().st_mtime)
if not wheels:
    sys.exit(f"no wheel in {sys.argv[1]}")
with zipfile.ZipFile(wheels[-1]) as archive:
    jars = {Path(name).name for name in archive.namelist() if name.endswith(".jar")}
wanted = {jar_name(line) for line in (9, 10)}
if jars != wanted:
    sys.exit(f"{wheels[-1]} carries {sorted(jars)} and not {sorted(wanted)}")
print(f"{wheels[-1]}: {', '.join(sorted(jars))}")
