#!/usr/bin/env python3
"""Counts the circles of files in each Rust crate, and fails where there is one.

    tools/circles.py [DIRECTORY]     the crates in and below the directory, by default the project's

A file depends on the files of the modules that its paths name: in `use` lines, in code and in macros. `mod child;` names a
child and uses nothing of it, so a parent and a child that uses its parent are no circle. They are one as soon as the
parent also uses, or re-exports, something of the child.
A circle is a set of files of which each one leads to each other one. Rooms, which are the files and folders directly below a
crate's `src`, must form none either: their imports run one way.
"""

import re
import sys
from pathlib import Path

# In this order: comments and literals, of which nothing is read; then what paths are made of.
TOKEN = re.compile(
    r"""
      //[^\n]* | b?c?r(?P<hashes>\#*)".*?"(?P=hashes) | [bc]?"(?:\\.|[^"\\])*" | b?'(?:\\(?:u\{\w+\}|x\w\w|.)|[^'\\])' | '\w+
    | (?P<block>/\*)
    | (?P<token>(?:r\#)?[A-Za-z_]\w* | :: | [{}();,*$<])
    """,
    re.VERBOSE | re.DOTALL,
)
VISIBILITY = {"crate", "super", "self", "in"}


def tokens_of(text):
    """The tokens of a Rust file that matter here: names, `::` and brackets."""
    tokens, at = [], 0
    while match := TOKEN.search(text, at):
        at = match.end()
        if match["block"]:
            depth = 1
            while depth and (bound := re.compile(r"/\*|\*/").search(text, at)):
                depth += 1 if bound[0] == "/*" else -1
                at = bound.end()
        elif match["token"]:
            tokens.append(match["token"])
    return tokens


class Module:
    """A module: its file, its parent, its children, and the modules that its `use` lines gave a name."""

    def __init__(self, file, parent, folder):
        self.file, self.parent, self.folder = file, parent, folder
        self.children, self.names, self.paths, self.uses = {}, {}, [], []

    def file_of(self, child):
        candidates = (self.folder / f"{child}.rs", self.folder / child / "mod.rs")
        return next((file for file in candidates if file.is_file()), None)

    def declare(self, name, file):
        return self.children.setdefault(name, Module(file, self, self.folder / name))

    def resolve(self, path):
        """The deepest module that a path names, and how many parts of the path that takes; None for another crate's."""
        module, at = self, 0
        if path[0] == "crate":
            while module.parent:
                module = module.parent
            at = 1
        elif path[0] in ("self", "super"):
            at = 1 if path[0] == "self" else 0
            while at < len(path) and path[at] == "super" and module.parent:
                module, at = module.parent, at + 1
        elif path[0] not in self.children:
            if path[0] not in self.names:
                return None, 0
            module, at = self.names[path[0]], 1
        while at < len(path) and path[at] in module.children:
            module, at = module.children[path[at]], at + 1
        return module, at


def use_tree(tokens, at, prefix, into):
    """Reads one tree of a `use` line, such as `a::{self, b as c}`, and appends (path, name) for each of its leaves."""
    path, name = list(prefix), None
    while at < len(tokens):
        token = tokens[at]
        if token == "{":
            at += 1
            while at < len(tokens) and tokens[at] not in ("}", ";"):
                at = use_tree(tokens, at, path, into)
                at += at < len(tokens) and tokens[at] == ","
            return at + 1
        if token in ("}", ",", ";"):
            break
        if token == "as":
            name, at = tokens[at + 1], at + 1
        elif token not in ("::", "*") and not (token == "self" and path):
            path.append(token.removeprefix("r#"))
        at += 1
    if path:
        into.append((path, name or path[-1]))
    return at


def read(module):
    """Reads a module's file, and those of the modules that it declares."""
    tokens = tokens_of(module.file.read_text())
    inline, depth, at = [], 0, 0
    here = module
    while at < len(tokens):
        token = tokens[at]
        following = tokens[at + 1 : at + 3]
        if token == "mod" and len(following) == 2 and following[1] == ";":
            if file := here.file_of(following[0]):
                read(here.declare(following[0], file))
            at += 3
        elif token == "mod" and len(following) == 2 and following[1] == "{":
            inline.append((here, depth))
            here, depth, at = here.declare(following[0], here.file), depth + 1, at + 3
        elif token == "use" and following[:1] != ["<"]:
            at = use_tree(tokens, at + 1, [], here.uses) + 1
        elif token == "pub" and len(following) == 2 and following[0] == "(" and following[1] in VISIBILITY:
            at = tokens.index(")", at) + 1
        elif token in "{}":
            depth, at = depth + (1 if token == "{" else -1), at + 1
            if inline and inline[-1][1] == depth:
                here = inline.pop()[0]
        elif re.match(r"[A-Za-z_]", token):
            path, at = [token], at + 1
            while at + 1 < len(tokens) and tokens[at] == "::" and re.match(r"[A-Za-z_]", tokens[at + 1]):
                path.append(tokens[at + 1])
                at += 2
            if len(path) > 1:
                here.paths.append(path)
        else:
            # A path that goes on from what is no name, as in `<T>::new`, begins in no module.
            at += 2 if token == "::" else 1


def modules_below(module):
    yield module
    for child in module.children.values():
        yield from modules_below(child)


def imports(root):
    """Which files each file of a crate uses."""
    top = Module(root, None, root.parent)
    read(top)
    modules = list(modules_below(top))
    for module in modules:
        for path, name in module.uses:
            named, length = module.resolve(path)
            if named and length == len(path):
                module.names[name] = named
    used = {module.file: set() for module in modules}
    for module in modules:
        for path in [path for path, _ in module.uses] + module.paths:
            named, _ = module.resolve(path)
            if named and named.file != module.file:
                used[module.file].add(named.file)
    return used


def circles(used):
    """The strongly connected parts of more than one file."""

    def reached(file):
        seen, left = set(), [file]
        while left:
            for other in used.get(left.pop(), ()):
                if other not in seen:
                    seen.add(other)
                    left.append(other)
        return seen

    reach = {file: reached(file) for file in used}
    rings = {frozenset(other for other in reach[file] if file in reach[other]) for file in used}
    return sorted((sorted(ring) for ring in rings if ring), key=lambda ring: (-len(ring), ring))


def rooms(used, folder):
    """Which rooms each room uses. Tests may use everything."""

    def room(file):
        parts = file.relative_to(folder).with_suffix("").parts
        return folder / parts[0]

    between = {}
    for file, others in used.items():
        if "tests" in file.relative_to(folder).with_suffix("").parts:
            continue
        between.setdefault(room(file), set()).update(room(other) for other in others if room(other) != room(file))
    return between


def roots(directory):
    """Where the crates in and below a directory begin: libraries, programs, tests, benches and examples."""
    for manifest in sorted(directory.rglob("Cargo.toml")):
        if {"target", "node_modules"} & set(manifest.relative_to(directory).parts):
            continue
        for pattern in ("src/lib.rs", "src/main.rs", "src/bin/*.rs", "tests/*.rs", "benches/*.rs", "examples/*.rs"):
            yield from sorted(manifest.parent.glob(pattern))


def main(directory):
    found = files = crates = 0
    for root in roots(directory):
        used = imports(root)
        crates, files = crates + 1, files + len(used)
        # A circle of files may be one of rooms as well, and is then told once.
        for kind, graph in (("files", used), ("rooms", rooms(used, root.parent))):
            rings = circles(graph)
            found += len(rings)
            for ring in rings:
                print(f"{root.relative_to(directory)}: a circle of {len(ring)} {kind}")
                for file in ring:
                    others = ", ".join(str(other.relative_to(root.parent)) for other in sorted(graph[file] & set(ring)))
                    print(f"    {file.relative_to(root.parent)} uses {others}")
            if rings:
                break
    print(f"{crates} crates, {files} files, {found} circles")
    return found > 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent.parent).resolve()))
