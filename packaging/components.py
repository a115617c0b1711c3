#!/usr/bin/env python3
"""What is linked into what we ship: the licence texts that must go with it, and a bill of materials.

    packaging/components.py third-party PACKAGE…   prints every licence text of the crates in these packages, and of Rust's own library
    packaging/components.py sbom PACKAGE           prints a bill of materials, CycloneDX 1.5 in JSON, of the time SOURCE_DATE_EPOCH
    packaging/components.py check                  fails where the texts of a crate that we ship are missing

PG_MAJOR says for which Postgres the extension is built (15 unless it is set); it changes no crate.
"""

import html
import json
import os
import re
import subprocess
import sys
import tomllib
import uuid
from collections import defaultdict
from datetime import datetime, timezone
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SHIPPED = ["workos_auth", "workos_auth_gateway", "workos_simulator", "workos_demo"]

# What crates call the files that must go with them.
LICENCE_FILE = re.compile(r"(licen[cs]e|copying|notice|copyright|unlicense)([-._].*)?", re.IGNORECASE)
# Files of such names that are source, or pictures.
NOT_TEXT = {".rs", ".py", ".go", ".sh", ".toml", ".json", ".svg", ".png", ".h", ".c"}

# The rule that a text stands under.
LINE = "=" * 100


def fail(what: str) -> None:
    sys.exit(f"components.py: {what}")


def cargo(*arguments: str) -> str:
    return subprocess.run(["cargo", *arguments, "--locked"], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


@cache
def host() -> str:
    version = subprocess.run(["rustc", "--version", "--verbose"], check=True, stdout=subprocess.PIPE, text=True).stdout
    return re.search(r"^host: (.*)$", version, re.MULTILINE)[1]


@cache
def metadata() -> dict:
    """Every crate that is known here, by name and version."""
    packages = json.loads(cargo("metadata", "--format-version", "1", "--filter-platform", host()))["packages"]
    return {(package["name"], package["version"]): package for package in packages}


def tree(package: str) -> dict:
    """What each crate that is linked into `package` depends on, those that make code while it is compiled among them."""
    features = ["--no-default-features", "--features", f"pg{os.environ.get('PG_MAJOR', '15')}"] if package == "workos_auth" else []
    text = cargo("tree", "--package", package, "--edges", "normal", "--prefix", "depth", "--no-dedupe", "--format", " {p}", *features)
    depends, path = defaultdict(set), []
    for line in text.splitlines():
        depth, name, version = re.match(r"(\d+) (\S+) v(\S+)", line).groups()
        crate = (name, version)
        del path[int(depth) :]
        depends[crate]  # a crate without dependencies is one all the same
        if path:
            depends[path[-1]].add(crate)
        path.append(crate)
    return depends


def is_ours(crate: tuple[str, str]) -> bool:
    return metadata()[crate]["source"] is None


def words(text: str) -> str:
    """Two texts with the same words are the same text."""
    return " ".join(text.split())


def texts(crate: tuple[str, str]) -> list[str]:
    """The licence texts of a crate from elsewhere."""
    package = metadata()[crate]
    folder = Path(package["manifest_path"]).parent
    found = {}
    for path in sorted(folder.rglob("*")):
        if LICENCE_FILE.fullmatch(path.name) and path.suffix.lower() not in NOT_TEXT and path.is_file():
            text = path.read_text(encoding="utf-8", errors="replace").strip()
            if text:
                found.setdefault(words(text), text)
    if not found and "MIT" in re.findall(r"[\w.-]+", package["license"] or ""):
        # It ships no text. That of the licence which it names is the same for everybody, but for the line of its authors.
        template = (ROOT / "packaging/licenses/MIT.txt").read_text()
        authors = ", ".join(re.sub(r"\s*<.*?>", "", author) for author in package["authors"]) or f"the authors of {crate[0]}"
        text = template.replace("@AUTHORS@", authors).strip()
        found[words(text)] = text
    if crate[0] == "psl":
        text = (ROOT / "packaging/licenses/MPL-2.0.txt").read_text().strip()
        text = "The Public Suffix List, https://publicsuffix.org/list/public_suffix_list.dat, is subject to the following licence.\n\n" + text
        found[words(text)] = text
    return list(found.values())


def of_rust() -> str:
    """The notices of the standard library, which every Rust program contains; they come with the compiler, as HTML."""
    sysroot = subprocess.run(["rustc", "--print", "sysroot"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    path = Path(sysroot) / "share/doc/rust/COPYRIGHT-library.html"
    if not path.is_file():
        fail(f"Rust's notices are not there: {path}")
    text = re.sub(r"<title>.*?</title>|<style.*?</style>", "", path.read_text(), flags=re.DOTALL)
    text = html.unescape(re.sub(r"<[^>]*>", "", text))
    return re.sub(r"\n\s*\n(\s*\n)+", "\n\n", text).strip()


def third_party(packages: list[str]) -> str:
    crates = sorted({crate for package in packages for crate in tree(package) if not is_ours(crate)})
    users, shown = defaultdict(list), {}
    for crate in crates:
        for text in texts(crate):
            users[words(text)].append(crate)
            shown[words(text)] = text
    parts = [
        f"{', '.join(packages)} contain{'s' if len(packages) == 1 else ''} the software of others. It is listed here, and its licences follow: under each heading,\nwhose text it is.\n",
        *(f"{name} {version}: {metadata()[(name, version)]['license']}" for name, version in crates),
    ]
    for key in sorted(shown, key=lambda key: users[key]):
        parts += ["", LINE, *(f"{name} {version}" for name, version in users[key]), LINE, "", shown[key]]
    parts += ["", LINE, "The standard library of Rust", LINE, "", of_rust()]
    return "\n".join(parts)


def moment() -> str:
    return datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def sbom(package: str) -> str:
    checksums = {(locked["name"], locked["version"]): locked.get("checksum") for locked in tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]}
    depends = tree(package)
    [root] = [crate for crate in depends if crate[0] == package]

    def purl(crate: tuple[str, str]) -> str:
        return f"pkg:cargo/{crate[0]}@{crate[1]}"

    def component(crate: tuple[str, str]) -> dict:
        known = metadata()[crate]
        described = {"type": "application" if crate == root else "library", "bom-ref": purl(crate), "name": crate[0], "version": crate[1], "purl": purl(crate)}
        if known["description"]:
            described["description"] = " ".join(known["description"].split())
        if known["license"]:
            described["licenses"] = [{"expression": known["license"].replace("/", " OR ")}]
        if checksums.get(crate):
            described["hashes"] = [{"alg": "SHA-256", "content": checksums[crate]}]
        if known["repository"]:
            described["externalReferences"] = [{"type": "vcs", "url": known["repository"]}]
        return described

    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        # The same for the same content, so that a build can be repeated.
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, ' '.join(map(purl, sorted(depends))))}",
        "version": 1,
        "metadata": {"timestamp": moment(), "component": component(root)},
        "components": [component(crate) for crate in sorted(depends) if crate != root],
        "dependencies": [{"ref": purl(crate), "dependsOn": [purl(on) for on in sorted(depends[crate])]} for crate in sorted(depends)],
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def check() -> int:
    crates = {crate for package in SHIPPED for crate in tree(package) if not is_ours(crate)}
    faults = [f"{name} {version} ({metadata()[(name, version)]['license']}) brings no licence text: add it to packaging/licenses" for name, version in sorted(crates) if not texts((name, version))]
    print("\n".join(faults) or f"{len(crates)} crates are shipped, with the texts of their licences")
    return 1 if faults else 0


def main() -> int:
    match sys.argv[1:]:
        case ["third-party", *packages] if packages:
            print(third_party(packages))
        case ["sbom", package]:
            print(sbom(package))
        case ["check"]:
            return check()
        case _:
            sys.stderr.write(__doc__)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
