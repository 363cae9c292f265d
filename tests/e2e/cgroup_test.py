#!/usr/bin/env python3
"""A CPU quota of a real cgroup decides the number of compute threads, as it does in a container.

Works with either version of cgroups; needs the right to make one, and skips without.
"""
import contextlib
import os
import pathlib
import tempfile
import unittest

import harness

PERIOD_US = 100_000


def writable_cgroup():
    """A new cgroup with a CPU controller: (folder, a function that sets its quota in CPUs)."""
    root = pathlib.Path("/sys/fs/cgroup")
    name = f"tenfold-test-{os.getpid()}"
    own = {}  # controller -> our cgroup's path; "" for version 2
    for line in pathlib.Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            own[controller] = path.lstrip("/")
    try:
        if (root / "cgroup.controllers").exists():
            folder = root / own.get("", "") / name
            folder.mkdir()
            if not (folder / "cpu.max").exists():
                folder.rmdir()
                raise OSError("the CPU controller is not handed down")
            return folder, lambda cpus: (folder / "cpu.max").write_text(f"{int(cpus * PERIOD_US)} {PERIOD_US}")
        folder = root / "cpu" / own.get("cpu", "") / name
        folder.mkdir()
        return folder, lambda cpus: (folder / "cpu.cfs_quota_us").write_text(str(int(cpus * PERIOD_US)))
    except OSError as error:
        raise unittest.SkipTest(f"this machine does not let a test make a cgroup with a CPU quota: {error}") from error


class CgroupTest(unittest.TestCase):
    def test_threads_follow_the_quota(self):
        free = len(os.sched_getaffinity(0))
        folder, set_quota = writable_cgroup()
        with contextlib.ExitStack() as stack:
            stack.callback(lambda: harness.wait_until(lambda: not remove(folder), 10, "the cgroup is empty"))
            temporary = stack.enter_context(tempfile.TemporaryDirectory(prefix="tenfold-cgroup-"))
            model = harness.make_model(temporary, "tiny-qwen3", "--types", "q8_0", "--seed", "5")
            unlimited = self.threads(model, None)
            for cpus in (1.0, 1.9, 0.5, float(free), free + 3.0):
                with self.subTest(cpus=cpus):
                    set_quota(cpus)
                    self.assertEqual(self.threads(model, folder), max(1, min(unlimited, int(cpus))))

    def threads(self, model, folder):
        """Compute threads of a server whose first instruction runs inside the cgroup."""
        with tempfile.TemporaryDirectory(prefix="tenfold-cgroup-") as temporary:
            binary = harness.binary()
            if folder is not None:
                wrapper = pathlib.Path(temporary) / "tenfold"
                wrapper.write_text(f"#!/bin/sh\necho $$ > '{folder}/cgroup.procs' && exec '{binary}' \"$@\"\n", encoding="utf-8")
                wrapper.chmod(0o755)
                os.environ["TENFOLD_BINARY"] = str(wrapper)
            try:
                with harness.ready_server(model) as server:
                    if folder is not None:
                        self.assertIn("cgroup quota", server.log_text())
                    answer = harness.post(server.port, "/v1/completions", {"prompt": [1, 2], "max_tokens": 3})
                    self.assertEqual(answer.status, 200)
                    return server.health()["optimization"]["threads"]
            finally:
                os.environ["TENFOLD_BINARY"] = binary


def remove(folder):
    """Whether the folder is still there; a process that has just ended may hold it for a moment."""
    with contextlib.suppress(OSError):
        folder.rmdir()
    return folder.exists()


if __name__ == "__main__":
    harness.main()
