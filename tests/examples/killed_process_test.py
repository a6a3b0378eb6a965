#!/usr/bin/env python3
"""Each of the example's two processes ends with a message when the other is killed, wherever that happens.

usage: killed_process_test.py VK_CUDA_WAVES

EXAMPLE_PRELOAD is what the example, and not Python, is to preload. The shim's trace tells how far the CUDA process is.
"""

import ctypes
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest

PROGRAM = None
PATIENCE = 60  # seconds, on a machine that does much else
PR_SET_CHILD_SUBREAPER = 36


def until(condition, what):
    end = time.monotonic() + PATIENCE
    while not (found := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {PATIENCE} s")
        time.sleep(0.002)
    return found


def child_of(pid):
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            return int(stat.parent.name)
    return None


class Example:
    """Running: `vulkan` and `cuda` are its processes."""

    def __init__(self, folder, semaphores):
        self.trace = pathlib.Path(folder) / "trace"
        self.errors = pathlib.Path(folder) / "errors"
        self.output = pathlib.Path(folder) / "output"
        environment = {**os.environ, "LD_PRELOAD": os.environ["EXAMPLE_PRELOAD"], "CUDA_SHIM_LOG": "trace",
                       "CUDA_SHIM_LOG_FILE": str(self.trace)}
        with self.errors.open("wb") as errors, self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [PROGRAM, "--processes", "2", "--semaphores", semaphores, "--frames", "100000", "--size", "16"],
                env=environment, stdout=output, stderr=errors)
        self.vulkan = self.process.pid
        self.cuda = until(lambda: child_of(self.vulkan), "a second process")

    def until_rendering(self):
        until(lambda: self.trace.exists() and self.trace.read_text().count("cuLaunchKernel = CUDA_SUCCESS") >= 3, "three frames")

    def until_descriptors_are_sent(self):
        until(lambda: "2 processes" in self.output.read_text(), "the first line")

    @staticmethod
    def status_of(pid):
        """The exit status, which comes to us for orphans, too."""
        def ended():
            try:
                found, status = os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:  # the parent's child still
                return None
            return (status,) if found else None
        return os.waitstatus_to_exitcode(until(ended, f"the end of process {pid}")[0])

    def close(self):
        for pid in (self.vulkan, self.cuda):
            try:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            except (ProcessLookupError, ChildProcessError):
                pass
        self.process.returncode = 0


class KilledProcess(unittest.TestCase):
    def start(self, semaphores="binary"):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        example = Example(folder.name, semaphores)
        self.addCleanup(example.close)
        return example

    def ends_with(self, example, pid, message):
        self.assertEqual(1, example.status_of(pid))
        self.assertRegex(example.errors.read_text(), message)

    def vulkan_ends(self, example):
        os.kill(example.cuda, signal.SIGKILL)
        os.kill(example.vulkan, signal.SIGCONT)
        self.ends_with(example, example.vulkan,
                       "vk_cuda_waves: the (CUDA process died of signal 9|other process did not take the descriptors)")

    def cuda_ends(self, example):
        os.kill(example.vulkan, signal.SIGKILL)
        self.ends_with(example, example.cuda,
                       "vk_cuda_waves: the (Vulkan process has ended|other process sent no descriptors)")

    def test_cuda_killed_before_vulkan_sends(self):
        example = self.start()
        os.kill(example.vulkan, signal.SIGSTOP)
        self.vulkan_ends(example)

    def test_cuda_killed_before_it_receives(self):
        example = self.start()
        os.kill(example.cuda, signal.SIGSTOP)
        example.until_descriptors_are_sent()
        self.vulkan_ends(example)

    def test_cuda_killed_among_frames(self):
        for semaphores in ("binary", "timeline"):
            with self.subTest(semaphores=semaphores):
                example = self.start(semaphores)
                example.until_rendering()
                self.vulkan_ends(example)

    def test_vulkan_killed_before_it_sends(self):
        example = self.start()
        os.kill(example.vulkan, signal.SIGSTOP)
        self.cuda_ends(example)

    def test_vulkan_killed_when_it_has_sent(self):
        example = self.start()
        os.kill(example.cuda, signal.SIGSTOP)
        example.until_descriptors_are_sent()
        os.kill(example.vulkan, signal.SIGKILL)
        os.kill(example.cuda, signal.SIGCONT)
        self.cuda_ends(example)

    def test_vulkan_killed_among_frames(self):
        for semaphores in ("binary", "timeline"):
            with self.subTest(semaphores=semaphores):
                example = self.start(semaphores)
                example.until_rendering()
                self.cuda_ends(example)


if __name__ == "__main__":
    PROGRAM = sys.argv.pop()
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    unittest.main()
