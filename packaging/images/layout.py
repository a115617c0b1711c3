#!/usr/bin/env python3
"""Makes an OCI image of a folder, without a daemon: a layout in an archive, the same bytes for the same files.

    layout.py ROOT ARCHIVE CONFIG NAME    CONFIG is the image's configuration in JSON, NAME its repository and tag

Files belong to whom they belong to in ROOT. Their times are SOURCE_DATE_EPOCH. It prints the image's digest.
"""

import gzip
import hashlib
import io
import json
import os
import platform
import stat
import sys
import tarfile
from datetime import datetime, timezone
from pathlib import Path

EPOCH = int(os.environ["SOURCE_DATE_EPOCH"])
ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]


def layer(root: Path) -> bytes:
    """Every file below root, in the order of the names."""
    buffer = io.BytesIO()
    links: dict[tuple[int, int], str] = {}
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(root.rglob("*")):
            status = path.lstat()
            if stat.S_ISSOCK(status.st_mode):
                continue
            entry = archive.gettarinfo(path, arcname=str(path.relative_to(root)))
            # tarfile remembers inodes itself, but a file that stands alone in the layer is none of its links.
            if status.st_nlink > 1 and stat.S_ISREG(status.st_mode):
                first = links.setdefault((status.st_dev, status.st_ino), entry.name)
                if first != entry.name:
                    entry.type, entry.linkname, entry.size = tarfile.LNKTYPE, first, 0
                else:
                    entry.type, entry.linkname, entry.size = tarfile.REGTYPE, "", status.st_size
            entry.mtime, entry.uname, entry.gname, entry.pax_headers = EPOCH, "", "", {}
            if entry.type == tarfile.REGTYPE:
                with path.open("rb") as content:
                    archive.addfile(entry, content)
            else:
                archive.addfile(entry)
    return buffer.getvalue()


def main() -> int:
    if len(sys.argv) != 5:
        sys.stderr.write(__doc__)
        return 2
    root, archive, config, name = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3]), sys.argv[4]
    blobs: dict[str, bytes] = {}

    def blob(content: bytes, kind: str, **more: object) -> dict:
        digest = hashlib.sha256(content).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = content
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}", "size": len(content), **more}

    def text(value: object) -> bytes:
        return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()

    files = layer(root)
    packed = blob(gzip.compress(files, compresslevel=6, mtime=0), "layer.v1.tar+gzip")
    created = datetime.fromtimestamp(EPOCH, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    image = {
        "created": created,
        "architecture": ARCHITECTURE,
        "os": "linux",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(files).hexdigest()}"]},
        "history": [{"created": created, "created_by": "packaging/images.sh"}],
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": blob(text(image), "config.v1+json"),
        "layers": [packed],
        "annotations": {**config.get("Labels", {}), "org.opencontainers.image.created": created},
    }
    described = blob(text(manifest), "manifest.v1+json", platform={"architecture": ARCHITECTURE, "os": "linux"}, annotations={"org.opencontainers.image.ref.name": name.partition(":")[2], "io.containerd.image.name": f"docker.io/library/{name}"})
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [described]}

    entries = {"oci-layout": text({"imageLayoutVersion": "1.0.0"}), "index.json": text(index), **dict(sorted(blobs.items()))}
    with tarfile.open(archive, "w", format=tarfile.USTAR_FORMAT) as out:
        for path, content in entries.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mtime, entry.mode = len(content), EPOCH, 0o644
            out.addfile(entry, io.BytesIO(content))
    print(described["digest"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
