#!/usr/bin/env python3
"""`tenfold bench load` against the real server: counts right, exits right. Its measuring is tested in src/load/ and src/results/."""
import json
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import unittest

import harness


def bench(*arguments):
    command = [harness.binary(), "bench", "load", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)


class BenchLoadTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.mkdtemp(prefix="tenfold-bench-load-")
        self.addCleanup(shutil.rmtree, folder)
        self.output = pathlib.Path(folder) / "r.jsonl"
        self.template = pathlib.Path(folder) / "chat.jinja"  # the model was trained on stories, not on chats
        self.template.write_text("{% for message in messages %}{{ message.content }}\n{% endfor %}", encoding="utf-8")

    def server(self):
        model = harness.data("models/stories260K/stories260K.gguf")
        return harness.ready_server(model, "--chat-template-file", str(self.template))

    def records(self, kind):
        lines = [json.loads(line) for line in self.output.read_text(encoding="utf-8").splitlines()]
        return [line for line in lines if line["kind"] == kind]

    def test_cold_one_and_ten_users(self):
        with self.server() as server:
            done = bench(f"http://127.0.0.1:{server.port}", "--tokens", "24", "--ignore-eos", "--output", str(self.output))
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertRegex(done.stdout, r"-- cold start[^-]+answered +1 of 1[^$]+-- one user[^-]+answered +1 of 1")
            self.assertRegex(done.stdout, r"-- 10 users[^-]+answered +10 of 10")
            self.assertIn("240 tokens", re.sub(" +", " ", done.stdout))
            self.assertEqual(harness.metric(server.port, "vllm:generation_tokens_total"), 24 * 13)  # and a warm-up
        manifest = self.records("manifest")[0]
        self.assertEqual((manifest["schema"], manifest["plan"]["timeout_s"]), (1, 60))
        self.assertEqual(len(self.records("request")), 13)
        self.assertEqual([run["phase"] for run in self.records("run")], ["cold", "warm-up", "users", "users"])
        self.assertIn("optimization", self.records("server")[0]["facts"]["health"])
        for request in self.records("request"):
            self.assertEqual((request["outcome"], request["tokens"], request["tokens_estimated"]), ("ok", 24, False))
            self.assertLess(request["first_token_s"], request["waited_s"])
            self.assertIsNotNone(request["prefill_s"])
        self.assertFalse(self.records("end")[0]["interrupted"])

    def test_two_servers_in_turns(self):
        with self.server() as one, self.server() as two:
            done = bench(f"http://127.0.0.1:{one.port}", "--vs", f"http://127.0.0.1:{two.port}", "--users", "2", "--tokens",
                         "8", "--rounds", "2", "--no-cold", "--languages", "ko", "--output", str(self.output))
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertIn("too few rounds to say", done.stdout)
        self.assertEqual([run["server"] for run in self.records("run") if run["phase"] == "users"], [0, 1, 1, 0])
        asked = [{request["prompt"] for request in self.records("request")
                  if request["phase"] == "users" and request["server"] == server} for server in (0, 1)]
        self.assertEqual(asked[0], asked[1])

    def test_random_arrivals_with_a_system_prompt_and_a_file_of_prompts(self):
        folder = self.output.parent
        (folder / "system.txt").write_text("You tell stories. " * 20, encoding="utf-8")
        (folder / "prompts.jsonl").write_text(
            '{"prompt": "Once upon a time"}\n{"prompt": "Lily saw a dog", "expect": "no such answer"}\n',
            encoding="utf-8")
        tokens = {}
        with self.server() as server:
            for system in ([], ["--system-file", str(folder / "system.txt")]):
                done = bench(f"http://127.0.0.1:{server.port}", "--rate", "10", "--rate-seconds", "1.5", "--tokens", "6",
                             "--no-cold", "--warmup", "0", "--prompts", str(folder / "prompts.jsonl"), *system,
                             "--output", str(self.output))
                requests = self.records("request")
                self.assertGreater(len(requests), 4, done.stdout + done.stderr)
                self.assertEqual({request["phase"] for request in requests}, {"rate"})
                self.assertEqual({request["outcome"] for request in requests}, {"ok", "wrong answer"})
                self.assertEqual(done.returncode, 1, done.stdout + done.stderr)  # wrong answers are failures
                tokens[len(system)] = min(request["prompt_tokens"] for request in requests if request["outcome"] == "ok")
                self.output.unlink()
        self.assertGreater(tokens[2], tokens[0] + 60)

    def test_an_interrupt_keeps_what_was_measured(self):
        with self.server() as server:
            with subprocess.Popen([harness.binary(), "bench", "load", f"http://127.0.0.1:{server.port}", "--users", "2",
                                   "--rounds", "100000", "--output", str(self.output)], stdout=subprocess.PIPE, text=True) as process:
                harness.wait_until(lambda: self.output.exists() and self.output.read_text(encoding="utf-8").count('"run"') > 5,
                                   60, "some runs")
                process.send_signal(signal.SIGINT)
                out = process.communicate(timeout=60)[0]
        self.assertEqual(process.returncode, 1, out)
        self.assertIn("(interrupted", out)
        self.assertRegex(out, r"-- 2 users, \d+ rounds")
        self.assertTrue(self.records("end")[0]["interrupted"])

    def test_what_makes_no_sense_is_refused_by_name(self):
        url = "http://127.0.0.1:9"
        for arguments, part in ((["--rate", "2", "--users", "3"], "--rate"), (["--users", "2,2"], "--users"),
                                (["--lengths", "huge"], "--lengths"), (["--languages", "de"], "--languages"),
                                (["--prompts", "no-such-file"], "--prompts"), (["--vs-model", "x"], "--vs-model"),
                                (["--output", "/no/such/folder/r.jsonl"], "--output"), (["--usrs", "2"], "--usrs")):
            done = bench(url, *arguments)
            self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
            self.assertIn(part, done.stderr)

    def test_no_server(self):
        done = bench(f"http://127.0.0.1:{harness.free_port()}/v1", "--users", "2", "--timeout", "5")
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r"answered +0 of 2")
        self.assertIn("no connection", done.stdout)

    def test_bad_url(self):
        done = bench("127.0.0.1:80")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("http://", done.stderr + done.stdout)


if __name__ == "__main__":
    harness.main()
