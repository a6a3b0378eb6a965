#!/usr/bin/env python3
"""`./dev` among stand-ins for apt, dpkg and meson: what it installs, and when it configures."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Packages are lines of `installed`, as `dpkg-query -W` gives them; calls are lines of `calls`.
STAND_INS = {
    "dpkg-query": r'''
format=$2; shift 2
for package; do
  grep "^$package " "$STATE/installed" | while read -r name version; do
    case $format in
    *Package*) echo "$name $version install ok installed" ;;
    *) echo "install ok installed" ;;
    esac
  done
done''',
    "apt-get": r'''
[ "$1" = install ] || exit 0
echo "install" >>"$STATE/calls"
for word; do
  case $word in install | -*) ;; *) echo "$word 1.0" >>"$STATE/installed" ;; esac
done''',
    "sudo": r'exec "$@"',
    "meson": r'''
case $1 in
setup)
  echo "$*" >>"$STATE/calls"
  for dir; do case $dir in build*) mkdir -p "$dir/meson-logs"; : >"$dir/build.ninja" ;; esac; done
  ;;
compile) echo "compile" >>"$STATE/calls" ;;
test)
  echo "test" >>"$STATE/calls"
  echo '{"name": "a", "result": "OK"}' >"$3/meson-logs/testlog.json"
  ;;
esac''',
}


class Dev(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.clone = pathlib.Path(folder.name)
        (self.clone / "tools").mkdir()
        (self.clone / "bin").mkdir()
        shutil.copy(ROOT / "dev", self.clone)
        shutil.copy(ROOT / "tools/test_summary.py", self.clone / "tools")
        (self.clone / "tools/demo").write_text("#!/bin/sh\n")
        (self.clone / "tools/demo").chmod(0o755)
        for name, body in STAND_INS.items():
            (self.clone / "bin" / name).write_text("#!/bin/sh\n" + body + "\n")
            (self.clone / "bin" / name).chmod(0o755)
        (self.clone / "installed").touch()
        self.environment = {**os.environ, "STATE": folder.name, "PATH": f"{self.clone}/bin:{os.environ['PATH']}"}

    def dev(self, *words):
        """What it called, in order."""
        (self.clone / "calls").write_text("")
        ended = subprocess.run([self.clone / "dev", *words], env=self.environment, capture_output=True, text=True, timeout=60)
        self.assertEqual((0, ""), (ended.returncode, ended.stderr))
        self.last_line = ended.stdout.splitlines()[-1] if ended.stdout else ""
        return (self.clone / "calls").read_text().splitlines()

    def test_what_the_tests_need_is_there_before_the_first_configuration(self):
        self.assertEqual(["install", "setup build", "compile", "test"], self.dev("test"))
        self.assertIn("hipcc 1.0", (self.clone / "installed").read_text().splitlines())
        self.assertEqual("1 passed, 0 failed, 0 skipped", self.last_line)

    def test_tests_after_a_demo_are_configured_with_what_they_need(self):
        self.assertEqual(["install", "setup build", "compile"], self.dev("demo"))
        self.assertEqual(["install", "setup --reconfigure build", "compile", "test"], self.dev("test"))

    def test_nothing_new_is_nothing_to_configure(self):
        self.dev("test")
        self.assertEqual(["compile", "test"], self.dev("test"))
        self.assertEqual(["compile"], self.dev("demo"))

    def test_what_somebody_else_installs_is_seen(self):
        self.dev("demo")
        with (self.clone / "installed").open("a") as installed:
            installed.write("hipcc 5.2\n")
        self.assertEqual(["setup --reconfigure build", "compile"], self.dev("demo"))

    def test_a_folder_that_somebody_else_configured_is_configured_again_once(self):
        self.dev("build")
        (self.clone / "build/configured_with").unlink()
        self.assertEqual(["setup --reconfigure build", "compile"], self.dev("build"))
        self.assertEqual(["compile"], self.dev("build"))

    def test_each_folder_has_its_own_configuration(self):
        self.dev("test")
        self.assertEqual(["setup build-address -Db_sanitize=address,undefined -Db_lundef=false", "compile", "test"],
                         self.dev("test", "--sanitize=address"))
        self.assertEqual(["compile", "test"], self.dev("test"))


if __name__ == "__main__":
    unittest.main()
