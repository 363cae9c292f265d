#!/usr/bin/env python3
"""A load from outside: its peak memory against the file's size, its progress, huge pages, and that it can be stopped.

The bar for peak memory is 1.15 times the file plus keys and values, mapped or read, locked or not.
"""
import pathlib
import shutil
import signal
import tempfile
import time
import unittest

import harness

BAR = 1.15
LEAST_MODEL_BYTES = 150 << 20


def status_bytes(pid, field):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) << 10
    return 0


class LoadingTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        harness.tool("make_gguf.py")
        cls.folder = tempfile.mkdtemp(prefix="tenfold-loading-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.model = harness.make_model(cls.folder, "qwen3-0.6b", "--types", "q4_k_m")
        cls.model_bytes = cls.model.stat().st_size
        assert cls.model_bytes >= LEAST_MODEL_BYTES, "too small: the server itself would be what is measured"

    def test_peak_memory(self):
        for arguments in ([], ["--no-mmap"], ["--mlock"]):
            with self.subTest(arguments), harness.Server(self.model, "-c", "256", "-np", "1", *arguments) as server:
                kv_bytes = server.wait_ready()["optimization"]["kv_bytes"]
                peak = status_bytes(server.process.pid, "VmHWM")
                part = (peak - kv_bytes) / self.model_bytes
                print(f"{' '.join(arguments) or 'mapped'}: peak {peak / 2**20:.0f} MiB, KV {kv_bytes / 2**20:.0f} MiB, "
                      f"file {self.model_bytes / 2**20:.0f} MiB: {part:.3f} of the file and KV")
                self.assertLessEqual(peak, BAR * self.model_bytes + kv_bytes)

    def test_progress_is_whole_only_at_the_end(self):
        for arguments in ([], ["--no-mmap"]):
            with self.subTest(arguments), harness.Server(self.model, "-c", "256", *arguments) as server:
                server.first_answer()
                seen = []
                while (health := server.health())["status"] == "loading":
                    seen.append(health["progress"])
                self.assertEqual(health["status"], "ready")
                print(f"{len(seen)} answers while loading, {len(set(seen))} different")
                self.assertEqual(seen, sorted(seen), "progress went backwards")
                self.assertTrue(all(0 <= progress < 1 for progress in seen), "1 before the model was there")
                self.assertGreater(len(set(seen)), 5, "progress stood still")

    def test_the_log_says_what_huge_pages_came(self):
        with harness.ready_server(self.model, "-c", "256") as server:
            setting = pathlib.Path("/sys/kernel/mm/transparent_hugepage/enabled").read_text(encoding="utf-8")
            huge = server.health()["optimization"]["huge_page_bytes"]
            log = server.log_text()
            self.assertIn("huge pages:", log)
            if "[never]" in setting:
                self.assertEqual(huge, 0)
                self.assertIn("transparent_hugepage", log)
            in_smaps = 0
            for line in pathlib.Path(f"/proc/{server.process.pid}/smaps").read_text(encoding="utf-8").splitlines():
                if line.startswith("AnonHugePages:"):
                    in_smaps += int(line.split()[1]) << 10
            self.assertLessEqual(huge, in_smaps, "more than the kernel says")

    def test_interrupted_in_the_middle_of_a_load(self):
        for how in (signal.SIGINT, signal.SIGTERM):
            for arguments in ([], ["--no-mmap"]):
                with self.subTest(how, arguments=arguments), harness.Server(self.model, "-c", "256", *arguments) as server:
                    server.first_answer()
                    harness.wait_until(lambda: server.health().get("progress", 1) > 0.05, 60, "some of the file is packed")
                    in_the_middle = server.health()["status"] == "loading"
                    begin = time.monotonic()
                    code = server.stop(how, seconds=10)
                    took = time.monotonic() - begin
                    print(f"{how.name} {' '.join(arguments)}: ended after {took:.2f} s")
                    self.assertEqual(code, 0, server.log_text())
                    self.assertTrue(in_the_middle, "the load was over before it could be interrupted")
                    self.assertNotIn("ready:", server.log_text())
                    self.assertLess(took, 5)


if __name__ == "__main__":
    harness.main()
