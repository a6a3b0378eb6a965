#!/usr/bin/env python3
"""`cuda-shim run` hands a program its arguments byte for byte, and its exit status back.

usage: cuda_shim_run_test.py CUDA-SHIM
"""

import subprocess
import sys
import unittest

TOOL = None
# Nothing is preloaded for hardware, so that any program runs.
HARDWARE = ["--gpu=0"]
PRINTER = ["sh", "-c", r'printf "%s\0" "$@"', "printer"]


def run(*words):
    return subprocess.run([TOOL, "run", *words], capture_output=True, timeout=60)


class Run(unittest.TestCase):
    def passes_on(self, options, arguments):
        ended = run(*options, *PRINTER, *arguments)
        self.assertEqual(b"", ended.stderr)
        self.assertEqual(0, ended.returncode)
        self.assertEqual([word.encode() for word in arguments], ended.stdout.split(b"\0")[:-1])

    def test_arguments_arrive_as_they_are(self):
        arguments = ["[x,y]", "[tag]", "a,b", "{1}", "", " ", "two\nlines", "--", "-", "--help", "-h", "--gpu=emulated", "--gpu",
                     "emulated", "run", "%s", '"', "'", "\\", "$HOME", "*", "@file", "grün", "--x=[1,2]", "--", ""]
        for options in (HARDWARE, [*HARDWARE, "--"], ["--gpu", "0"], ["--gpu", "0", "--"]):
            with self.subTest(options=options):
                self.passes_on(options, arguments)

    def test_bytes_that_are_no_text_arrive(self):
        ended = subprocess.run([TOOL.encode(), b"run", b"--gpu=0", *[word.encode() for word in PRINTER], b"\xff\xfe"],
                               capture_output=True, timeout=60)
        self.assertEqual(b"\xff\xfe\0", ended.stdout)

    def test_the_first_double_dash_ends_the_options_and_no_other(self):
        self.passes_on([*HARDWARE, "--"], ["--", "--"])

    def test_the_exit_status_is_the_programs(self):
        for status in (0, 1, 2, 77, 255):
            self.assertEqual(status, run(*HARDWARE, "sh", "-c", f"exit {status}").returncode)
        self.assertEqual(-9, run(*HARDWARE, "sh", "-c", "kill -9 $$").returncode)

    def test_a_program_that_cannot_start_is_named(self):
        for program in ("/no/such/program", ""):
            ended = run(*HARDWARE, "--", program)
            self.assertEqual(127, ended.returncode)
            self.assertIn(f"cuda-shim: {program}: No such file".encode(), ended.stderr)
        self.assertEqual(126, run(*HARDWARE, "/").returncode)

    def test_wrong_usage_exits_with_2(self):
        for words in ([], ["run"], ["run", "--"], ["run", "--gpu=0"], ["run", "--gpu"], ["run", "--gpu=x", "true"],
                      ["run", "--unknown", "true"], ["walk", "true"], ["info", "true"], ["--gpu=0", "run", "true"]):
            with self.subTest(words=words):
                ended = subprocess.run([TOOL, *words], capture_output=True, timeout=60)
                self.assertEqual(2, ended.returncode)
                self.assertNotEqual(b"", ended.stdout + ended.stderr)

    def test_help_is_no_error(self):
        for words in (["--help"], ["run", "--help"], ["run", "-h"], ["info", "--help"]):
            ended = subprocess.run([TOOL, *words], capture_output=True, timeout=60)
            self.assertEqual((0, b""), (ended.returncode, ended.stderr))
            self.assertIn(b"Usage:", ended.stdout)


if __name__ == "__main__":
    TOOL = sys.argv.pop()
    unittest.main()
