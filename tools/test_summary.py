#!/usr/bin/env python3
"""Prints the closing lines of a meson test run: which tests failed and which were skipped, and how many passed.

usage: test_summary.py TESTLOG LEFT-OUT [NAME...]

LEFT-OUT names the tests that the configuration left out, one a line, with a tab and what is missing behind each. They are
skipped, too, unless NAMEs of other tests were asked for.
"""

import fnmatch
import json
import pathlib
import sys


def left_out(path, names):
    for line in path.read_text(encoding="utf-8").split("\n") if path.exists() else []:
        test, _, missing = line.partition("\t")
        if test and (not names or any(fnmatch.fnmatch(test, name) for name in names)):
            yield f"{test} (not built: no {missing})"


def main():
    log = pathlib.Path(sys.argv[1])
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for line in log.read_text(encoding="utf-8").splitlines() if log.exists() else []:
        test = json.loads(line)
        if test["result"] in ("OK", "EXPECTEDFAIL"):
            counts["passed"] += 1
        elif test["result"] == "SKIP":
            counts["skipped"] += 1
            print(f"skipped: {test['name']}")
        else:
            counts["failed"] += 1
            print(f"failed: {test['name']} ({test['result']})")
    for test in left_out(pathlib.Path(sys.argv[2]), sys.argv[3:]):
        counts["skipped"] += 1
        print(f"skipped: {test}")
    print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")


main()
