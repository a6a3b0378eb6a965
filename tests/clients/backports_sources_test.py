#!/usr/bin/env python3
"""What backports_sources.py makes of a machine's apt sources. The archive's addresses are made up."""

import pathlib
import subprocess
import sys
import tempfile
import unittest

PROGRAM = pathlib.Path(__file__).with_name("backports_sources.py")


class BackportsSources(unittest.TestCase):
    def given(self, **files):
        """The two files written for a machine with these files, by name with __ for the dot; None where there are no sources."""
        with tempfile.TemporaryDirectory() as folder:
            apt, output = pathlib.Path(folder) / "apt", pathlib.Path(folder) / "out"
            (apt / "sources.list.d").mkdir(parents=True)
            for name, text in files.items():
                name = name.replace("__", ".")
                (apt / ("" if name == "sources.list" else "sources.list.d") / name).write_text(text)
            ended = subprocess.run([sys.executable, PROGRAM, "bookworm", apt, output], timeout=60)
            written = {path.suffix: path.read_text() for path in output.iterdir()}
        if ended.returncode == 1:
            self.assertEqual({"": ""}, {"": "".join(written.values())})
            return None
        self.assertEqual(0, ended.returncode)
        return written

    def test_a_line_keeps_its_options(self):
        written = self.given(sources__list="# comment\ndeb [arch=amd64 signed-by=/k/{a}.gpg] http://m.test/debian bookworm main contrib # x\n"
                                           "deb-src http://m.test/debian bookworm main\n#deb http://n.test/debian bookworm main\n")
        self.assertEqual("deb [arch=amd64 signed-by=/k/{a}.gpg] http://m.test/debian bookworm-backports main\n", written[".list"])
        self.assertEqual("", written[".sources"])

    def test_a_paragraph_keeps_its_options(self):
        written = self.given(debian__sources="Types: deb deb-src\n# comment\nURIs: http://m.test/debian\n http://n.test/debian\n"
                                             "Suites: bookworm bookworm-updates\nComponents: main contrib\nSigned-By:\n -----BEGIN\n .\n key\n"
                                             "Trusted: yes\n\nTypes: deb\nURIs: http://m.test/security\nSuites: bookworm-security\nComponents: main\n")
        self.assertEqual("Types: deb\nURIs: http://m.test/debian\n http://n.test/debian\nSuites: bookworm-backports\nComponents: main\n"
                         "Signed-By:\n -----BEGIN\n .\n key\nTrusted: yes\n\n", written[".sources"])
        self.assertEqual("", written[".list"])

    def test_others_archives_and_suites_are_left_out(self):
        self.assertIsNone(self.given(
            sources__list="deb http://m.test/debian trixie main\ndeb http://m.test/docker bookworm stable\n",
            off__sources="Enabled: no\nTypes: deb\nURIs: http://m.test/debian\nSuites: bookworm\nComponents: main\n",
            src__sources="Types: deb-src\nURIs: http://m.test/debian\nSuites: bookworm\nComponents: main\n",
            old__disabled="deb http://m.test/debian bookworm main\n"))

    def test_backports_that_are_there_are_taken_as_they_are(self):
        written = self.given(sources__list="deb http://m.test/debian bookworm main\n",
                             more__list="deb [trusted=yes] http://b.test/debian bookworm-backports main\n")
        self.assertEqual("deb [trusted=yes] http://b.test/debian bookworm-backports main\n", written[".list"])

    def test_nothing_comes_twice(self):
        line = "deb http://m.test/debian bookworm main\n"
        self.assertEqual("deb http://m.test/debian bookworm-backports main\n", self.given(sources__list=line, again__list=line)[".list"])


if __name__ == "__main__":
    unittest.main()
