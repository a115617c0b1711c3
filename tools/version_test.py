#!/usr/bin/env python3
"""What tools/version.py finds wrong."""

import copy
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import version


class Meta(unittest.TestCase):
    def test_what_it_makes_is_valid(self) -> None:
        self.assertEqual(version.faults_of_meta(version.meta()), [])

    def test_each_thing_that_pgxn_requires_is_missed(self) -> None:
        for key in version.REQUIRED:
            for wrong in (None, 7, {}, ""):
                meta = copy.deepcopy(version.meta())
                meta[key] = wrong
                self.assertIn(f"META.json: {key} is missing, or of the wrong kind", version.faults_of_meta(meta), (key, wrong))

    def test_versions_are_semantic(self) -> None:
        for wrong in ("1.0", "01.2.3", "1.2.3.4", "v1.2.3", "1.2.3-"):
            meta = copy.deepcopy(version.meta())
            meta["version"] = meta["provides"]["workos_auth"]["version"] = wrong
            self.assertEqual(version.faults_of_meta(meta), [f"META.json: {wrong} is no semantic version"])

    def test_it_names_files_that_are_there_and_one_version(self) -> None:
        meta = copy.deepcopy(version.meta())
        meta["provides"]["workos_auth"].update(file="nowhere.control", version="9.9.9")
        self.assertEqual(
            version.faults_of_meta(meta),
            ["META.json: workos_auth names a file that is not there: nowhere.control", "META.json: workos_auth has another version than the distribution"],
        )


class Elsewhere(unittest.TestCase):
    """The files that must agree, each made to disagree in a folder of its own."""

    FILES = ["META.json", "Cargo.lock", "CHANGELOG.md", "workos_auth.control", "docs/install.md"]

    def faults_with(self, name: str, before: str, after: str) -> list[str]:
        root = version.ROOT
        with tempfile.TemporaryDirectory() as folder:
            for file in self.FILES:
                text = (root / file).read_text()
                if file == name:
                    self.assertIn(before, text)
                    text = text.replace(before, after)
                (Path(folder) / file).parent.mkdir(exist_ok=True)
                (Path(folder) / file).write_text(text)
            version.ROOT = Path(folder)
            try:
                return version.check()
            finally:
                version.ROOT = root

    def test_they_agree(self) -> None:
        self.assertEqual(self.faults_with("META.json", "workos", "workos"), [])

    def test_a_stale_meta_is_found(self) -> None:
        self.assertEqual(self.faults_with("META.json", version.VERSION, "9.9.9"), ["META.json is not what Cargo.toml says: tools/version.py --write"])

    def test_a_meta_that_is_no_json_is_found(self) -> None:
        self.assertIn("META.json cannot be read", self.faults_with("META.json", "{", "(")[0])

    def test_a_stale_lock_is_found(self) -> None:
        entry = 'name = "workos_auth"\nversion = '
        [fault] = self.faults_with("Cargo.lock", f'{entry}"{version.VERSION}"', f'{entry}"9.9.9"')
        self.assertTrue(fault.startswith("Cargo.lock: workos_auth is 9.9.9"), fault)

    def test_a_changelog_without_the_release_is_found(self) -> None:
        [fault] = self.faults_with("CHANGELOG.md", f"## {version.VERSION}", "## 9.9.9")
        self.assertEqual(fault, f"CHANGELOG.md: the first section is not that of {version.VERSION}")

    def test_a_release_without_its_upgrading_lines_is_found(self) -> None:
        [fault] = self.faults_with("CHANGELOG.md", "### Upgrading", "### Otherwise")
        self.assertEqual(fault, f"CHANGELOG.md: {version.VERSION} has no section Upgrading")

    def test_a_package_of_another_version_is_found(self) -> None:
        name = f"workos-auth-gateway_{version.VERSION}-1_amd64.deb"
        [fault] = self.faults_with("docs/install.md", name, "workos-auth-gateway_9.9.9-1_amd64.deb")
        self.assertEqual(fault, f"docs/install.md names a package of 9.9.9, not of {version.VERSION}")


if __name__ == "__main__":
    unittest.main(verbosity=0)
