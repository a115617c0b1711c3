#!/usr/bin/env python3
"""Counts long sentences and undefined terms in what people read, and fails where there are more than the ceiling.

    tools/prose.py [--list]      --list shows all of them, also where they are within the ceiling

A long sentence has more than 25 words. A piece of inline code is one word. In tables and in SQL comments a semicolon ends a
sentence too. A term is an abbreviation in capitals: the glossary (docs/concepts.md) says what it means, or the page itself does,
or it is one of KNOWN.

What is read: the pages, COMMENT ON in sql/, the errors with details and hints, the help of settings and of the programs.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORDS = 25

# How many of each there may be. A ceiling may only go down: where there are fewer, the script says to lower it.
CEILINGS = {
    "pages": {"long": 0, "undefined": 0},
    "comments": {"long": 0, "undefined": 0},
    "errors": {"long": 0, "undefined": 0},
    "help": {"long": 0, "undefined": 0},
}

# What every reader is taken to know, and what names a thing: keywords, products, protocols that a link explains.
KNOWN = set(
    """
    ADMIN ALTER AFTER AND ANCHOR API APP ARM AS AMD ASCII AWS BEFORE BRANCH BYPASSRLS CA CASCADE CD CI CLUSTER CNAME CREATEROLE COLUMN ENCODING HOST PASSWORD PGHOST PGUSER PORT RDS DOM COMMENT COMMIT CONNECT
    CONSTRAINT COPY CPU CREATE CREATEDB CREATEROLE CSV DATABASE DBA DEFAULT DEFERRED DEFINER DELETE DETAIL DISCARD DISTINCT DNS DO DOMAIN
    DROP EC ENABLE ERROR EVENT EXECUTE EXTENSION FORCE FROM FUNCTION GB GET GRANT GB HEAD HINT HTML HTTP HTTPS ID IF IN INHERIT INITIALLY
    INSERT INTO IP IS IT JSON KB LATERAL LC LIKE LOCAL LOG LOGIN LTS MB MIT NEW NODE NOINHERIT NOLOGIN NOT NOTICE NUL NULL OF ON ONLY OR OS OWNER
    PARALLEL PC PEM PG PID PL POLICY POST POSTGRES PREPARE PUBLIC PUT RAM RANDOM READ REFERENCES REPEATABLE REPLICATION RESET RESTRICT REVOKE
    RFC ROLE ROLLBACK SAFE SCHEMA SECURITY SELECT SERIALIZABLE SESSION SET SHA SHOW SIGHUP SIGINT SIGPIPE SIGTERM SQL SQLSTATE SSH SSL STABLE STRICT
    SUPERUSER SYSTEM TABLE TCP TEMPLATE TLS TO TRIGGER TRUNCATE TXT TYPE UI UNIQUE UPDATE URI URL URLS US USAGE USING UTC UTF UUID UUIDS
    VALUES VIEW VOLATILE WARNING WHEN WHERE WITH WRITE WRITES YAML TODO README CONTRIBUTING CHANGELOG RELEASING LICENSE ONLY CRUD
    COMMITTED ISOLATION TRANSACTION SAVEPOINT WINDOWS DHCP GNU ARIA ISO CEO CLI SDK RHEL DEB RPM OCI GHCR GPG SBOM EOL EPYC REST JVM AES EL PGXN PGDG
    """.split()
)

# Where one sentence ends, in prose and in cells of tables and the like.
SENTENCES = re.compile(r"(?<=[.!?])\s+(?=[\"“'(*A-Z0-9§…]|$)")
TELEGRAPHIC = re.compile(r"(?<=[.!?;])\s+")


class Prose:
    """Sentences of one source, each with its place."""

    def __init__(self):
        self.sentences = []

    def add(self, place, text, ends=SENTENCES):
        for part in re.split(ends, plain(text)):
            if part.strip():
                self.sentences.append((place, part.strip()))


def plain(text):
    """Without what is not read as words: code is one word, a link its text."""
    text = re.sub(r"``.+?``|`[^`]*`", "§", text)
    text = re.sub(r"!\[[^\]]*\]\([^)]*\)", " ", text)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"<[^>]+>", " ", text)
    return re.sub(r"\s+", " ", text.replace("**", "").replace("\\", ""))


def words(sentence):
    return [word for word in sentence.split() if re.search(r"[\w§]", word)]


def undefined(text, defined):
    """Abbreviations that nothing explains, without those in code."""
    found = set(re.findall(r"(?<![\w.$/-])[A-Z][A-Z0-9]{1,7}(?:s)?(?![\w(])", plain(text)))
    return sorted(term for term in {word.removesuffix("s") for word in found} if term not in KNOWN and term not in defined
                  and not re.fullmatch(r"WA\d{3}|[A-Z]{1,2}\d+|[0-9A-Z]*\d[0-9A-Z]*", term))


def pages():
    yield from sorted(ROOT.glob("*.md"))
    yield from sorted((ROOT / "docs").rglob("*.md"))
    yield from sorted((ROOT / "examples").glob("*.md"))
    yield ROOT / "tests/README.md"


def explained(text):
    """Terms that the page says in words: `X is …`, `X (RFC …)`, `*X*`, `… (X)`."""
    text = re.sub(r"\s+", " ", text)
    inside = re.findall(r"\*{1,2}([A-Z][A-Z0-9]+)s?\*{1,2}|\(([A-Z][A-Z0-9]+)\)|(?:^|[ (])([A-Z][A-Z0-9]+)s? \((?:RFC|[a-z])", text)
    first = re.findall(r"\b([A-Z][A-Z0-9]+)s?(?: is | are |, (?:a|an|the) )", text)
    return {term for group in inside for term in group if term} | set(first)


def read_page(path, prose, terms, glossary):
    name = path.relative_to(ROOT).as_posix()
    text = path.read_text()
    # The same length, so that lines stay where they are.
    blank = lambda match: "\n" * match[0].count("\n")  # noqa: E731
    text = re.sub(r"<!--.*?-->", blank, text, flags=re.DOTALL)
    text = re.sub(r"^( *)(```|~~~).*?^\1\2 *$", blank, text, flags=re.DOTALL | re.MULTILINE)
    defined = glossary | explained(text)
    paragraph, begin = [], 1

    def close():
        if paragraph:
            prose.add(f"{name}:{begin}", " ".join(paragraph))
            paragraph.clear()

    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.strip()
        for term in undefined(line, defined):
            terms.append((f"{name}:{number}", term))
        if stripped.startswith("|"):
            close()
            for cell in re.split(r"(?<!\\)\|", stripped.strip("|")):
                prose.add(f"{name}:{number}", cell, TELEGRAPHIC)
        elif not stripped or stripped.startswith("#") or re.match(r"[-*+] |\d+\. ", stripped):
            close()
            if re.match(r"[-*+] |\d+\. ", stripped):
                paragraph.append(re.sub(r"^([-*+]|\d+\.) ", "", stripped))
                begin = number
        else:
            if not paragraph:
                begin = number
            paragraph.append(stripped.lstrip("> "))
            # One line of source is at least one sentence of prose where it ends as one.
            if stripped.endswith((".", ":", "?", "!")):
                close()
    close()


def read_comments(prose, terms, glossary):
    for path in sorted((ROOT / "sql").glob("*.sql")):
        text = path.read_text()
        name = path.relative_to(ROOT).as_posix()
        for match in re.finditer(r"COMMENT ON [^;']*? IS\s+((?:'(?:[^']|'')*'\s*(?:\|\|)?\s*)+)|(?:HINT|DETAIL|MESSAGE) = ('(?:[^']|'')*')", text):
            said = re.sub(r"'\s*(?:\|\|)?\s*\n\s*'", "", match[1] or match[2]).strip().strip("'").replace("''", "'")
            place = f"{name}:{text.count(chr(10), 0, match.start()) + 1}"
            prose.add(place, said, TELEGRAPHIC)
            terms.extend((place, term) for term in undefined(said, glossary | explained(said)))


def read_errors(prose, terms, glossary):
    path = ROOT / "crates/core/src/error.rs"
    text = path.read_text()
    begin = text.index("error_codes! {")
    for match in re.finditer(r'"((?:[^"\\]|\\.)*)"', text[begin : text.index("pub struct PostgresCode")]):
        place = f"{path.relative_to(ROOT)}:{text.count(chr(10), 0, begin + match.start()) + 1}"
        prose.add(place, match[1], TELEGRAPHIC)
        terms.extend((place, term) for term in undefined(match[1], glossary))
    for path in [*sorted((ROOT / "src").rglob("*.rs")), *sorted((ROOT / "crates/core/src").rglob("*.rs"))]:
        text = path.read_text()
        for match in re.finditer(r'\.hint\(\s*"((?:[^"\\]|\\.)*)"', text):
            place = f"{path.relative_to(ROOT)}:{text.count(chr(10), 0, match.start()) + 1}"
            prose.add(place, match[1], TELEGRAPHIC)
            terms.extend((place, term) for term in undefined(match[1], glossary))


def read_help(prose, terms, glossary):
    path = ROOT / "src/settings/declarations.rs"
    text = path.read_text()
    for match in re.finditer(r'c"((?:[^"\\]|\\.)*)"', text):
        place = f"{path.relative_to(ROOT)}:{text.count(chr(10), 0, match.start()) + 1}"
        prose.add(place, match[1], TELEGRAPHIC)
        terms.extend((place, term) for term in undefined(match[1], glossary))
    for path in (ROOT / "gateway/src/config.rs", ROOT / "crates/simulator/src/main.rs"):
        text = path.read_text()
        if after := re.search(r'const AFTER_HELP: &str = "\\\n(.*?)";', text, re.DOTALL):
            for paragraph in re.split(r"\n\n|\n  .*", after[1]):
                prose.add(f"{path.relative_to(ROOT)}: after the flags", paragraph, TELEGRAPHIC)
        for match in re.finditer(r"((?:^ *///[^\n]*\n)+) *#\[(?:arg|command)", text, re.MULTILINE):
            said = " ".join(line.strip().removeprefix("///").strip() for line in match[1].strip().split("\n"))
            place = f"{path.relative_to(ROOT)}:{text.count(chr(10), 0, match.start()) + 1}"
            prose.add(place, said, TELEGRAPHIC)
            terms.extend((place, term) for term in undefined(said, glossary))


def glossary_of():
    text = (ROOT / "docs/concepts.md").read_text()
    return set(re.findall(r"\b[A-Z][A-Z0-9]{1,7}\b", text))


def main():
    glossary = glossary_of()
    failed = False
    for source in CEILINGS:
        prose, terms = Prose(), []
        if source == "pages":
            for path in pages():
                read_page(path, prose, terms, glossary)
        else:
            {"comments": read_comments, "errors": read_errors, "help": read_help}[source](prose, terms, glossary)
        long = [(place, sentence) for place, sentence in prose.sentences if len(words(sentence)) > WORDS]
        found = {"long": [f"{place}: {len(words(sentence))} words: {sentence}" for place, sentence in long],
                 "undefined": [f"{place}: {term} is in no glossary" for place, term in terms]}
        for kind, lines in found.items():
            ceiling = CEILINGS[source][kind]
            if len(lines) > ceiling or "--list" in sys.argv:
                print("\n".join(lines))
            if len(lines) > ceiling:
                print(f"{source}: {len(lines)} {kind}, and at most {ceiling} may be")
                failed = True
            elif len(lines) < ceiling:
                print(f"{source}: {len(lines)} {kind}: lower the ceiling of {ceiling} in tools/prose.py")
                failed = True
        print(f"{source}: {len(prose.sentences)} sentences, {len(long)} long, {len(terms)} undefined terms")
    return failed


if __name__ == "__main__":
    sys.exit(main())
