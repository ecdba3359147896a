"""Every link of the built book resolves: files that it names are there, and so are the places in them.

usage: links.py target/book
"""
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.links, self.places = [], set()

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name in ("id", "name") and value:
                self.places.add(value)
            if name in ("href", "src") and value:
                self.links.append((self.getpos()[0], value))


root = Path(sys.argv[1]).resolve()
pages = {}
for path in sorted(root.rglob("*.html")):
    page = pages[path] = Page()
    page.feed(path.read_text())

wrong, local = [], 0
for path, page in pages.items():
    for line, link in page.links:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc or link.startswith("//"):
            continue
        local += 1
        target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        # The page for what is not found is served from anywhere: its links start at the site's root.
        if path.name == "404.html" and parts.path.startswith("/"):
            target = root / unquote(parts.path).lstrip("/")
        place = unquote(parts.fragment)
        if target.is_dir():
            target /= "index.html"
        if not target.exists():
            wrong.append(f"{path.relative_to(root)}:{line}: {link}: not there")
        elif place and target in pages and place not in pages[target].places:
            wrong.append(f"{path.relative_to(root)}:{line}: {link}: no such place in it")
print(f"{len(pages)} pages, {local} links, {len(wrong)} wrong", *wrong, sep="\n")
sys.exit(bool(wrong))
