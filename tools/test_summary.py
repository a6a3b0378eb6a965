#!/usr/bin/env python3
"""Prints the closing line of a meson test run: how many tests passed, failed and were skipped, and which ones failed."""

import json
import sys

counts = {"passed": 0, "failed": 0, "skipped": 0}
for line in open(sys.argv[1], encoding="utf-8"):
    test = json.loads(line)
    if test["result"] in ("OK", "EXPECTEDFAIL"):
        counts["passed"] += 1
    elif test["result"] == "SKIP":
        counts["skipped"] += 1
        print(f"skipped: {test['name']}")
    else:
        counts["failed"] += 1
        print(f"failed: {test['name']} ({test['result']})")
print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
