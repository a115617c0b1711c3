#!/usr/bin/env python3
"""The version of the project stands in Cargo.toml, under [workspace.package]. What else must name it is made from there, or held against it.

    tools/version.py                      prints it
    tools/version.py --write              writes META.json
    tools/version.py --check              fails where META.json, Cargo.lock, CHANGELOG.md or docs/install.md say something else
    tools/version.py --notes              prints what CHANGELOG.md says of it
    tools/version.py --debian-version     prints it as Debian writes it
    tools/version.py --debian-changelog   prints a debian/changelog, of the time SOURCE_DATE_EPOCH
"""

import json
import os
import re
import sys
import tomllib
from email.utils import formatdate
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CARGO = tomllib.loads((ROOT / "Cargo.toml").read_text())
VERSION = CARGO["workspace"]["package"]["version"]
MAINTAINER = CARGO["workspace"]["package"]["authors"][0]
ABSTRACT = CARGO["package"]["description"]

# https://semver.org, as PGXN asks for it.
SEMVER = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?")

# What the PGXN Meta Spec 1.0.0 (https://pgxn.org/spec/) requires, and what it must be.
REQUIRED = {"name": str, "version": str, "abstract": str, "maintainer": (str, list), "license": (str, list, dict), "provides": dict, "meta-spec": dict}


def meta() -> dict:
    return {
        "name": "workos_auth",
        "abstract": ABSTRACT,
        "description": "Sign-in, sessions and row-level security with WorkOS, in SQL. Written in Rust: building it needs Rust, libclang and a C compiler.",
        "version": VERSION,
        "maintainer": [MAINTAINER],
        "license": "postgresql",
        "provides": {"workos_auth": {"file": "workos_auth.control", "docfile": "README.md", "version": VERSION, "abstract": ABSTRACT}},
        "prereqs": {"runtime": {"requires": {"PostgreSQL": "15.0.0"}}},
        "release_status": "testing" if "-" in VERSION else "stable",
        "generated_by": "tools/version.py",
        "tags": ["authentication", "sso", "workos", "row level security", "sessions", "jwt"],
        "meta-spec": {"version": "1.0.0", "url": "https://pgxn.org/meta/spec.txt"},
    }


def faults_of_meta(found: dict) -> list[str]:
    """Where it is no metadata of a PGXN distribution."""
    faults = [f"META.json: {key} is missing, or of the wrong kind" for key, kind in REQUIRED.items() if not isinstance(found.get(key), kind) or not found[key]]
    if faults:
        return faults
    if not SEMVER.fullmatch(found["version"]):
        faults.append(f"META.json: {found['version']} is no semantic version")
    for extension, provided in found["provides"].items():
        if not (ROOT / provided.get("file", "?")).is_file():
            faults.append(f"META.json: {extension} names a file that is not there: {provided.get('file')}")
        if provided.get("version") != found["version"]:
            faults.append(f"META.json: {extension} has another version than the distribution")
    return faults


def sections() -> list[tuple[str, str]]:
    """The releases of CHANGELOG.md, the newest first: version and text."""
    parts = re.split(r"^## (\S+).*\n", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)
    return list(zip(parts[1::2], (text.strip() for text in parts[2::2])))


def check() -> list[str]:
    faults = [] if SEMVER.fullmatch(VERSION) else [f"Cargo.toml: {VERSION} is no semantic version"]
    try:
        found = json.loads((ROOT / "META.json").read_text())
    except (OSError, ValueError) as error:
        return [*faults, f"META.json cannot be read: {error}"]
    faults += faults_of_meta(found)
    if found != meta():
        faults.append("META.json is not what Cargo.toml says: tools/version.py --write")
    members = [package for package in tomllib.loads((ROOT / "Cargo.lock").read_text())["package"] if package["name"].startswith("workos_") and "source" not in package]
    faults += [f"Cargo.lock: {member['name']} is {member['version']}, not {VERSION}: cargo update --workspace" for member in members if member["version"] != VERSION]
    releases = sections()
    if not releases or releases[0][0] != VERSION:
        faults.append(f"CHANGELOG.md: the first section is not that of {VERSION}")
    elif "### Upgrading" not in releases[0][1]:
        faults.append(f"CHANGELOG.md: {VERSION} has no section Upgrading")
    packages = re.findall(r"workos[-_a-z0-9]*[-_:]([0-9.]+)-\d", (ROOT / "docs/install.md").read_text())
    faults += [f"docs/install.md names a package of {named}, not of {VERSION}" for named in sorted(set(packages) - {VERSION})]
    return faults


def notes() -> str:
    for version, text in sections():
        if version == VERSION:
            return text
    sys.exit(f"CHANGELOG.md has no section of {VERSION}")


def debian_version() -> str:
    # A version with a hyphen is before the release; Debian says so with a tilde.
    return f"{VERSION.replace('-', '~')}-1"


def debian_changelog() -> str:
    name = os.environ.get("DEBFULLNAME"), os.environ.get("DEBEMAIL")
    maintainer = f"{name[0]} <{name[1]}>" if all(name) else MAINTAINER
    date = formatdate(int(os.environ["SOURCE_DATE_EPOCH"]), usegmt=True).replace("GMT", "+0000")
    return f"workos-auth ({debian_version()}) unstable; urgency=medium\n\n  * Version {VERSION}. CHANGELOG.md says what is new.\n\n -- {maintainer}  {date}\n"


def main() -> int:
    match sys.argv[1:]:
        case []:
            print(VERSION)
        case ["--write"]:
            (ROOT / "META.json").write_text(json.dumps(meta(), indent=4, ensure_ascii=False) + "\n")
        case ["--check"]:
            faults = check()
            print("\n".join(faults) or f"{VERSION}: META.json, Cargo.lock, CHANGELOG.md and docs/install.md agree")
            return 1 if faults else 0
        case ["--notes"]:
            print(notes())
        case ["--debian-version"]:
            print(debian_version())
        case ["--debian-changelog"]:
            print(debian_changelog(), end="")
        case _:
            sys.stderr.write(__doc__)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
