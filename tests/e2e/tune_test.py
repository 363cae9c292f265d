#!/usr/bin/env python3
"""`tenfold tune` as its user meets it: it ends in time, its profile is found by `serve` or left alone with the reason, and a
run that was broken off is taken up again. How it decides is tested in src/tune/ on simulated machines."""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

import harness


class TuneTest(unittest.TestCase):
    def setUp(self):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="tenfold-tune-"))
        self.addCleanup(shutil.rmtree, folder)
        self.output = folder / "out.jsonl"
        self.template = folder / "chat.jinja"  # the model was trained on stories, not on chats
        self.template.write_text("{% for message in messages %}{{ message.content }}\n{% endfor %}", encoding="utf-8")
        self.environment = {"XDG_CONFIG_HOME": str(folder)}
        self.model = harness.data("models/stories260K/stories260K.gguf")
        self.profile = folder / "tenfold" / "profiles" / "stories260K.toml"
        self.state = pathlib.Path(str(self.profile) + ".state")

    def command(self, *arguments):
        return [harness.binary(), "tune", "-m", str(self.model), "--chat-template-file", str(self.template), "--users", "3",
                "--tokens", "8", *arguments]

    def tune(self, *arguments):
        return subprocess.run(self.command(*arguments), capture_output=True, text=True, timeout=100, check=False,
                              env={**os.environ, **self.environment})

    def served(self, *arguments):
        """What /health says of a server's settings, and its log."""
        with harness.Server(self.model, *arguments, environment=self.environment) as server:
            return server.wait_ready()["optimization"], server.log_text()

    def test_a_profile_is_written_found_and_left_alone(self):
        started = time.monotonic()
        done = self.tune("--minutes", "0.2", "-t", "8", "-b", "16", "--output", str(self.output))
        seconds = time.monotonic() - started
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertLess(seconds, 0.2 * 60 + 2)
        for part in ("your start            threads 8, batch_size 16", "-- chosen: ", "made no difference", "-- not tried",
                     "how long must a request be?", f"profile: {self.profile}"):
            self.assertIn(part, done.stdout)
        self.assertFalse(self.state.exists())
        rows = [json.loads(line) for line in self.output.read_text(encoding="utf-8").splitlines()]
        self.assertEqual(rows[0]["kind"], "manifest")
        self.assertGreater(sum(row["kind"] == "trial" for row in rows), 10)
        self.assertEqual(rows[-1]["kind"], "choice")

        # Whatever won on this machine today: the rest of the test is about a setting of our own.
        text = self.profile.read_text(encoding="utf-8")
        text = re.sub(r"(?m)^(?!for_|tuned_|#).*\n", "", text) + "batch_size = 64\n"
        self.profile.write_text(text, encoding="utf-8")
        optimization, log = self.served()
        self.assertEqual((optimization["tuned_from"], optimization["tuned_settings"], optimization["n_batch"]),
                         (str(self.profile), ["batch_size"], 64))
        self.assertIn(f"tuned by {self.profile} (3 users", log)
        optimization, log = self.served("-b", "128")
        self.assertEqual((optimization["tuned_settings"], optimization["n_batch"]), ([], 128))
        self.assertIn("set otherwise, and not by the profile: batch_size 128", log)
        optimization, _ = self.served("--profile", "none", "--no-huge-pages")
        self.assertEqual((optimization["tuned_from"], optimization["n_batch"], optimization["huge_pages"]), (None, 512, False))

        self.profile.write_text(re.sub("for_cpu = .*", 'for_cpu = "abacus"', text), encoding="utf-8")
        optimization, log = self.served()
        self.assertEqual((optimization["tuned_from"], optimization["n_batch"]), (None, 512))
        self.assertIn("tuned for CPU 'abacus'", optimization["tuning_ignored"])
        self.assertIn("tuned for CPU 'abacus'", log)
        self.profile.write_text(text + "speed = 11\n", encoding="utf-8")
        optimization, _ = self.served()
        self.assertIn("speed cannot be tuned", optimization["tuning_ignored"])
        refused = subprocess.run([harness.binary(), "serve", "-m", str(self.model), "--profile", str(self.profile)],
                                 capture_output=True, text=True, timeout=20, check=False)
        self.assertEqual(refused.returncode, 2)
        self.assertIn("speed cannot be tuned", refused.stderr)

    def test_a_run_that_was_broken_off_is_taken_up_again(self):
        def trials():
            return self.state.exists() and self.state.read_text(encoding="utf-8").count('"trial"')

        with subprocess.Popen(self.command("--minutes", "1"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              env={**os.environ, **self.environment}) as process:
            harness.wait_until(lambda: trials() > 4, 60, "some measurements")
            process.send_signal(signal.SIGINT)
            out, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 1, out + errors)
        self.assertIn("stopped before anything was decided", out)
        self.assertFalse(self.profile.exists())
        kept = trials()
        self.assertGreater(kept, 4)
        other = self.tune("--minutes", "2")
        self.assertEqual(other.returncode, 2, other.stdout)
        self.assertIn("with --minutes: 1, here it is 2; --fresh begins anew", other.stderr)
        done = self.tune("--minutes", "1")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn(f"goes on behind {kept} measurements", done.stdout)
        self.assertTrue(self.profile.exists())

    def test_wrong_usage_is_refused_by_name(self):
        for arguments, message in ((["--users", "0"], "--users: '0' is no number from 1 to 1000"),
                                   (["--minutes", "soon"], "--minutes: 'soon'"), (["--fast"], "Unknown flag --fast"),
                                   (["--tokens"], "--tokens needs a value"), (["-b", "0"], "-b: '0' is out of range")):
            done = self.tune(*arguments)
            self.assertEqual(done.returncode, 2, arguments)
            self.assertIn(message, done.stderr)
        done = subprocess.run([harness.binary(), "tune"], capture_output=True, text=True, timeout=20, check=False)
        self.assertEqual((done.returncode, done.stderr), (2, "tenfold tune: -m FILE.gguf is needed\n"))
        done = subprocess.run([harness.binary(), "tune", "-m", "none.gguf"], capture_output=True, text=True, timeout=20, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("none.gguf", done.stderr)


if __name__ == "__main__":
    harness.main()
