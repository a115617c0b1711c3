#!/usr/bin/env python3
"""What tools/circles.py finds in made-up crates."""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

CIRCLES = Path(__file__).with_name("circles.py")


def counted(files):
    """The last line and the exit code for a crate of these files."""
    with tempfile.TemporaryDirectory() as directory:
        for name, text in {"Cargo.toml": "", **files}.items():
            path = Path(directory, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        run = subprocess.run([sys.executable, CIRCLES, directory], capture_output=True, text=True)
        return run.stdout.splitlines()[-1], run.returncode


class Circles(unittest.TestCase):
    def found(self, circles, files):
        crates = sum(name == "src/lib.rs" for name in files)
        expected = (f"{crates} crates, {len(files)} files, {circles} circles", int(circles > 0))
        self.assertEqual(counted(files), expected)

    def test_a_child_may_use_its_parent(self):
        self.found(0, {"src/lib.rs": "mod a;\npub struct A;", "src/a.rs": "use super::A;\npub(crate) fn b(_: A) {}"})

    def test_a_parent_that_exports_what_its_child_has_uses_it(self):
        for use in ("pub use a::B;", "pub use self::a::{B as C};", "pub use crate::a::*;", "fn b() { a::b() }"):
            with self.subTest(use):
                self.found(1, {"src/lib.rs": f"mod a;\n{use}\npub struct A;", "src/a.rs": "pub struct B(super::A);"})

    def test_a_ring(self):
        ring = {"src/lib.rs": "mod a; mod b; mod c;", "src/a.rs": "use crate::b;\npub fn a() { b::b() }"}
        self.found(0, {**ring, "src/b.rs": "use crate::c::{self};", "src/c.rs": ""})
        self.found(1, {**ring, "src/b.rs": "use crate::c::{self};", "src/c.rs": "fn c() { crate::a::a() }"})

    def test_rooms_without_a_ring_of_files(self):
        files = {"src/lib.rs": "mod a; mod b;", "src/a/mod.rs": "mod x;\nuse crate::b;", "src/a/x.rs": "", "src/b.rs": ""}
        self.found(0, files)
        self.found(1, {**files, "src/a/mod.rs": "pub mod x; mod y;", "src/a/y.rs": "use crate::b;", "src/b.rs": "use crate::a::x;"})

    def test_a_module_by_the_name_that_a_use_gave_it(self):
        files = {
            "src/lib.rs": "mod r;",
            "src/r/mod.rs": "mod a; mod b;",
            "src/r/a/mod.rs": "pub mod x;",
            "src/r/a/x.rs": "use crate::r::b::B;",
        }
        self.found(0, {**files, "src/r/b.rs": "use super::a;\npub struct B;"})
        self.found(1, {**files, "src/r/b.rs": "use super::a as c;\npub struct B(c::x::X);"})

    def test_comments_and_literals_are_not_read(self):
        quiet = """//! [`crate::b`]
            /* crate::b /* nested */ crate::b */
            const A: &str = "crate::b \\" crate::b"; const B: &str = r#"crate::b " crate::b"#;
            const C: char = '"'; fn a<'a>(_: &'a str) -> char { '\\'' }"""
        files = {"src/lib.rs": "mod a; mod b;", "src/b.rs": "use super::a;"}
        self.found(0, {**files, "src/a.rs": quiet})
        self.found(1, {**files, "src/a.rs": f"{quiet} fn c() {{ crate::b::b() }}"})

    def test_what_an_opaque_type_captures_is_no_use_line(self):
        files = {"src/lib.rs": "mod a; mod b;", "src/b.rs": "use super::a;"}
        self.found(0, {**files, "src/a.rs": "fn a<'a>() -> impl Sized + use<'a> { f(); g() } fn b() -> impl Sized + use<> { }"})
        self.found(1, {**files, "src/a.rs": "fn a() -> impl Sized + use<> { crate::b::b() }"})

    def test_modules_within_a_file(self):
        inline = "mod tests { use super::*; use super::super::b::B; } pub struct A;"
        files = {"src/lib.rs": "mod a; mod b;", "src/a.rs": inline}
        self.found(0, {**files, "src/b.rs": "pub struct B;"})
        self.found(1, {**files, "src/b.rs": "pub struct B(crate::a::A);"})


if __name__ == "__main__":
    unittest.main()
