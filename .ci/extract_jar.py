"""Take Anserini's fat jar out of the downloaded Pyserini package in the given folder."""

import shutil
import sys
import tarfile
import zipfile
from pathlib import Path

folder = Path(sys.argv[1])
for package in sorted([*folder.glob("*.whl"), *folder.glob("*.tar.gz")]):
    if package.suffix == ".whl":
        with zipfile.ZipFile(package) as archive:
            for name in archive.namelist():
                if name.endswith("fatjar.jar"):
                    (folder / Path(name).name).write_bytes(archive.read(name))
    else:
        with tarfile.open(package) as archive:
            for member in archive:
                source = archive.extractfile(member)
                if member.name.endswith("fatjar.jar") and source is not None:
                    with open(folder / Path(member.name).name, "wb") as target:
                        shutil.copyfileobj(source, target)
    package.unlink()
if not list(folder.glob("*fatjar.jar")):
    sys.exit(f"no fat jar in the package downloaded to {folder}")
