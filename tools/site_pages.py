#!/usr/bin/env python3
"""Makes the pages of the site out of a copy of docs/.

    tools/site_pages.py DIRECTORY      the copy, which is changed

README.md becomes the first page. A link that leads out of docs/ becomes its text, since the site does not hold the file. Comments,
which hold what tests need to know, are left out.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")


def rewritten(text, here):
    """The text of a page that stands in the folder `here` of the project."""

    def link(match):
        target, _, anchor = match[3].partition("#")
        if not target or re.match(r"[a-z]+:", target):
            return match[0]
        path = (here / target).resolve()
        if path == ROOT / "README.md":
            path = ROOT / "docs/index.md"
        elif not path.is_relative_to(ROOT / "docs"):
            return match[2]
        # Pages link to each other by where they stand on the site.
        folder = ROOT / "docs" if here == ROOT else here
        up = len(folder.relative_to(ROOT / "docs").parts)
        return f"{match[1]}[{match[2]}]({'../' * up}{path.relative_to(ROOT / 'docs')}{'#' + anchor if anchor else ''})"

    parts = re.split(r"(^```.*?^```[^\n]*$)", re.sub(r"<!--.*?-->\n?", "", text, flags=re.DOTALL), flags=re.DOTALL | re.MULTILINE)
    return "".join(part if part.startswith("```") else LINK.sub(link, part) for part in parts)


def main(copy):
    for page in copy.rglob("*.md"):
        page.write_text(rewritten(page.read_text(), ROOT / "docs" / page.relative_to(copy).parent))
    (copy / "index.md").write_text(rewritten((ROOT / "README.md").read_text(), ROOT))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
