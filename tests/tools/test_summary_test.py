#!/usr/bin/env python3
"""What tools/test_summary.py says of a run."""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

SUMMARY = pathlib.Path(__file__).resolve().parents[2] / "tools/test_summary.py"
LEFT_OUT = "hip_kernels\thipcc\nhip_printf\thipcc\n"


def summary(results, left_out, *names):
    with tempfile.TemporaryDirectory() as folder:
        log, left = pathlib.Path(folder) / "log.json", pathlib.Path(folder) / "left_out"
        if results is not None:
            log.write_text("".join(json.dumps({"name": name, "result": result}) + "\n" for name, result in results))
        left.write_text(left_out)
        command = [sys.executable, SUMMARY, log, left, *names]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


class Summary(unittest.TestCase):
    def test_counts_and_names_what_did_not_pass(self):
        lines = summary([("a", "OK"), ("b", "FAIL"), ("c", "SKIP"), ("d", "TIMEOUT"), ("e", "EXPECTEDFAIL")], "\n")
        self.assertEqual(["failed: b (FAIL)", "skipped: c", "failed: d (TIMEOUT)", "2 passed, 2 failed, 1 skipped"], lines)

    def test_names_what_was_not_built(self):
        self.assertEqual(["skipped: hip_kernels (not built: no hipcc)", "skipped: hip_printf (not built: no hipcc)",
                          "1 passed, 0 failed, 2 skipped"], summary([("a", "OK")], LEFT_OUT))

    def test_of_some_tests_names_no_others(self):
        self.assertEqual(["1 passed, 0 failed, 0 skipped"], summary([("a", "OK")], LEFT_OUT, "a"))
        self.assertEqual(["skipped: hip_printf (not built: no hipcc)", "0 passed, 0 failed, 1 skipped"],
                         summary(None, LEFT_OUT, "hip_p*"))


if __name__ == "__main__":
    unittest.main()
