#!/usr/bin/env python3
"""Holds the crates that this machine builds, and both lockfiles, against the licences, bans and sources of deny.toml. What
cargo-deny checks besides, advisories above all, `make audit` has it do: building it takes minutes."""

import re
import subprocess
import sys
import tomllib
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REGISTRY = "registry+https://github.com/rust-lang/crates.io-index"


def is_allowed(expression: str, allowed: list[str]) -> bool:
    """Whether an SPDX expression, or the older form with a slash, can be met with these licences alone."""
    words = re.findall(r"[()]|[^\s()]+", expression.replace("/", " OR "))
    known = {"OR": "or", "AND": "and", "(": "(", ")": ")"}
    # Each word becomes one of Python's own, so nothing of a stranger's is evaluated. An exception gives more rights, so a licence WITH one is as good as the licence.
    kept = [word for at, word in enumerate(words) if "WITH" not in (word, words[at - 1] if at else "")]
    return bool(eval(" ".join(known.get(word) or str(word in allowed) for word in kept)))


def main() -> int:
    rules = tomllib.loads((ROOT / "deny.toml").read_text())
    command = ["cargo", "tree", "--workspace", "--locked", "--edges", "normal,build,dev", "--prefix", "none"]
    tree = subprocess.run([*command, "--format", "{p}|{l}"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    versions, licences = defaultdict(set), {}
    for line in tree.splitlines():
        if not line:
            continue
        package, licence = line.removesuffix(" (*)").split("|")
        name, version = package.split()[:2]
        versions[name].add(version)
        licences[f"{name} {version}"] = licence

    found = [
        f"{crate} has the licence {licence or 'of nobody'}, which deny.toml does not allow"
        for crate, licence in licences.items()
        if not licence or not is_allowed(licence, rules["licenses"]["allow"])
    ]
    for ban in rules["bans"]["deny"]:
        name, once = ban["crate"], ban.get("deny-multiple-versions", False)
        if len(versions[name]) > int(once):
            found.append(f"{name} {', '.join(sorted(versions[name]))}: deny.toml {'wants it once' if once else 'bans it'}")
    for lockfile in ["Cargo.lock", "crates/core/fuzz/Cargo.lock"]:
        for package in tomllib.loads((ROOT / lockfile).read_text())["package"]:
            if package.get("source", REGISTRY) != REGISTRY:
                found.append(f"{lockfile}: {package['name']} comes from {package['source']}")

    print("\n".join(found) or f"{len(licences)} crates: licences, bans and sources are as deny.toml says")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
