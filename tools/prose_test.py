#!/usr/bin/env python3
"""What tools/prose.py counts, on pages made for it."""

import tempfile
import unittest
from pathlib import Path

import prose


def counted(text, glossary=frozenset()):
    """Long sentences and undefined terms of a page."""
    with tempfile.TemporaryDirectory(dir=prose.ROOT) as directory:
        page = Path(directory) / "page.md"
        page.write_text(text)
        sentences, terms = prose.Prose(), []
        prose.read_page(page, sentences, terms, set(glossary))
        long = [sentence for _, sentence in sentences.sentences if len(prose.words(sentence)) > prose.WORDS]
        return long, [term for _, term in terms]


class Sentences(unittest.TestCase):
    def test_a_sentence_of_26_words_is_long(self):
        self.assertEqual(counted("word " * 24 + "end.\n"), ([], []))
        self.assertEqual(len(counted("word " * 25 + "end.\n")[0]), 1)

    def test_a_line_break_ends_no_sentence(self):
        self.assertEqual(len(counted("word " * 13 + "\n" + "word " * 13 + "end.\n")[0]), 1)

    def test_items_and_cells_are_sentences_of_their_own(self):
        self.assertEqual(counted(("- " + "word " * 20 + "\n") * 2)[0], [])
        self.assertEqual(counted("| " + "word " * 20 + "| " + "word " * 20 + "|\n")[0], [])
        self.assertEqual(counted("| " + "word " * 20 + "end; " + "word " * 20 + "|\n")[0], [])
        self.assertEqual(len(counted("| " + "word " * 26 + "|\n")[0]), 1)

    def test_code_is_one_word_and_blocks_and_comments_are_none(self):
        self.assertEqual(counted("`a b c` " * 25 + "\n")[0], [])
        self.assertEqual(counted("```\n" + "word " * 30 + "\n```\n<!-- " + "word " * 30 + "-->\n")[0], [])


class Terms(unittest.TestCase):
    def test_an_abbreviation_is_explained_somewhere(self):
        self.assertEqual(counted("The QXZ waits.\n")[1], ["QXZ"])
        self.assertEqual(counted("The QXZ waits.\n", {"QXZ"})[1], [])
        self.assertEqual(counted("A *QXZ* is a thing. The QXZ waits.\n")[1], [])
        self.assertEqual(counted("The `QXZ` waits for HTTP and WA402.\n")[1], [])


class Sources(unittest.TestCase):
    def test_every_source_is_read(self):
        for read in (prose.read_comments, prose.read_errors, prose.read_help):
            sentences = prose.Prose()
            read(sentences, [], set())
            self.assertGreater(len(sentences.sentences), 100, read.__name__)


if __name__ == "__main__":
    unittest.main()
