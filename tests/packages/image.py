#!/usr/bin/env python3
"""image.py ARCHIVE ROOT: takes an image of `make images` apart, holding every digest against what it names. Root's, for the owners of files."""

import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path


def unpack(archive: Path, root: Path) -> dict:
    """Takes an image apart, holding every digest against what it names; its configuration."""
    layout = root.with_suffix(".layout")
    with tarfile.open(archive) as tar:
        tar.extractall(layout, filter="data")

    def blob(descriptor: dict) -> bytes:
        algorithm, digest = descriptor["digest"].split(":")
        content = (layout / "blobs" / algorithm / digest).read_bytes()
        assert hashlib.sha256(content).hexdigest() == digest and len(content) == descriptor["size"], f"{archive}: {digest} is another"
        return content

    [described] = json.loads((layout / "index.json").read_text())["manifests"]
    manifest = json.loads(blob(described))
    config = json.loads(blob(manifest["config"]))
    root.mkdir()
    for descriptor in manifest["layers"]:
        blob(descriptor)
        subprocess.run(["tar", "--extract", "--gzip", "--numeric-owner", "--file", layout / "blobs" / descriptor["digest"].replace(":", "/"), "--directory", root], check=True)
    shutil.rmtree(layout)
    print(f"   {archive.name}: {described['digest']}, {archive.stat().st_size / 1e6:.1f} MB")
    return config["config"]


if __name__ == "__main__":
    unpack(Path(sys.argv[1]), Path(sys.argv[2]))
