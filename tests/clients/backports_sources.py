#!/usr/bin/env python3
"""Writes apt sources for a release's backports: those that the machine has for the release itself, with all their options,
but for the suite.

usage: backports_sources.py RELEASE APT-FOLDER OUTPUT-FOLDER

APT-FOLDER is /etc/apt or like it. Sources of main alone are taken, and where it has backports already, only these. Exits
with 1 where there are none.
"""

import pathlib
import re
import sys

SUITE = object()  # stands where the suite goes
ONE_LINE = re.compile(r"deb\s+(?P<options>\[[^]]*\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s+(?P<components>[^#]*)")


def one_line_sources(text, suite):
    """Of a file NAME.list, those of the suite, in pieces of which one is SUITE."""
    for line in text.splitlines():
        match = ONE_LINE.match(line.strip())
        if match and match["suite"].strip("/") == suite and "main" in match["components"].split():
            yield ["deb ", match["options"] or "", match["uri"], " ", SUITE, " main\n"]


def fields_of(paragraph):
    """Names and values; continuations and comments as deb822 has them."""
    fields = {}
    name = None
    for line in paragraph.splitlines():
        if line.startswith("#"):
            continue
        if line[:1] in (" ", "\t") and name:
            fields[name] += "\n" + line
        elif ":" in line:
            name, _, value = line.partition(":")
            fields[name] = value
    return fields


def paragraph_sources(text, suite):
    """The same of a file NAME.sources."""
    for paragraph in re.split(r"\n[ \t]*\n", text):
        fields = fields_of(paragraph)
        words = {name.lower(): value.lower().split() for name, value in fields.items()}
        enabled = words.get("enabled", ["yes"]) not in (["no"], ["false"], ["0"], ["off"], ["without"], ["disable"])
        if not (enabled and "deb" in words.get("types", []) and "main" in words.get("components", []) and
                suite in [word.strip("/") for word in words.get("suites", [])]):
            continue
        replaced = {"types": [" deb"], "suites": [" ", SUITE], "components": [" main"]}
        pieces = []
        for name, value in fields.items():
            pieces += [name, ":", *replaced.get(name.lower(), [value.rstrip()]), "\n"]
        yield [*pieces, "\n"]


def sources(folder, suite):
    lists = [folder / "sources.list", *sorted((folder / "sources.list.d").glob("*.list"))]
    found = {"list": [], "sources": []}
    for path in lists:
        if path.is_file():
            found["list"] += one_line_sources(path.read_text(encoding="utf-8"), suite)
    for path in sorted((folder / "sources.list.d").glob("*.sources")):
        found["sources"] += paragraph_sources(path.read_text(encoding="utf-8"), suite)
    return found


def main():
    release, folder, output = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
    backports = f"{release}-backports"
    found = sources(folder, backports)
    if not any(found.values()):
        found = sources(folder, release)
    output.mkdir(parents=True, exist_ok=True)
    for kind, texts in found.items():
        unique = dict.fromkeys("".join(backports if piece is SUITE else piece for piece in text) for text in texts)
        (output / f"backports.{kind}").write_text("".join(unique), encoding="utf-8")
    return 0 if any(found.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
