#!/usr/bin/env python3
"""Writes docs/SUMMARY.md, the table of contents of the book: `just summary`.

Pages stand in the order below; a page that is not named here is added at the end of its part, and a title is the page's
first heading. Standard library only.
"""

import pathlib

DOCS = pathlib.Path(__file__).parent
PARTS = [
    ("Guide", "guide", ["first-scan", "investigation", "lookup", "explain", "report", "trail", "baselines", "coverage",
                        "reconcile", "guardduty", "contain", "notify", "s3-archives", "scale", "ci-gate", "python", "terminal"]),
    ("Concepts", "concepts", ["counting", "baselines", "attribution", "what-logs-show", "not-for", "glossary"]),
    ("Reference", "reference", ["cli", "config", "finding", "fields", "formats", "exit-codes"]),
    ("Detectors", "detectors", []),
]
LAST = ["comparison", "quality", "benchmarks", "reliability", "architecture"]


def title(page):
    for line in page.read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            return line[2:].replace("`", "")
    return page.stem


def entry(page):
    return f"- [{title(page)}]({page.relative_to(DOCS).as_posix()})"


def part(folder, order):
    pages = sorted((DOCS / folder).glob("*.md"))
    place = {name: n for n, name in enumerate(order)}
    return sorted(pages, key=lambda p: (place.get(p.stem, len(order)), p.stem))


def main():
    lines = ["# Summary", "", "[flowtrail](introduction.md)"]
    for name, folder, order in PARTS:
        lines += ["", f"# {name}", ""] + [entry(p) for p in part(folder, order)]
    last = [DOCS / f"{name}.md" for name in LAST]
    named = set(LAST) | {"introduction", "SUMMARY"}
    last += sorted(p for p in DOCS.glob("*.md") if p.stem not in named)
    lines += ["", "# The tool itself", ""] + [entry(p) for p in last if p.exists()]
    (DOCS / "SUMMARY.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


main()
