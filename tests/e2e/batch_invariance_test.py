#!/usr/bin/env python3
"""A property of --exact: what a request gives depends on nothing but the request.

Random requests (length, sampling, seed) run alone, then ten at once on servers with other thread counts and step sizes,
with some of their neighbours hanging up half way. Every answer must be the same, token for token. Some prompts are
longer than what attention takes in at once (512 positions) and are split among threads; keys and values are halves, then
int8.
"""
import random
import shutil
import tempfile
import unittest

import harness

REQUESTS = 20


def random_body(draw):
    body = {"prompt": [draw.randrange(2000) for _ in range(draw.choice((1, 3, 15, 16, 17, 40, 130, 260, 530, 1100)))],
            "max_tokens": draw.randrange(1, 40), "ignore_eos": True, "logprobs": 0, "seed": draw.randrange(2 ** 31),
            "temperature": draw.choice((0, 0.7, 1.0, 1.5))}
    body.update(draw.choice(({}, {"top_k": 20}, {"top_p": 0.9}, {"min_p": 0.05})))
    return body


class BatchInvarianceTest(unittest.TestCase):
    server_flags = ("--exact",)

    @classmethod
    def setUpClass(cls):
        harness.tool("make_gguf.py")
        folder = tempfile.mkdtemp(prefix="tenfold-invariance-")
        cls.addClassCleanup(shutil.rmtree, folder)
        cls.model = harness.make_model(folder, "tiny-qwen3", "--types", "q4_k_m", "--seed", "7")
        draw = random.Random(20240607)
        cls.bodies = [random_body(draw) for _ in range(REQUESTS)]
        with harness.ready_server(cls.model, *cls.server_flags, "-t", "1") as server:
            cls.alone = [cls.ask(server.port, body) for body in cls.bodies]

    @staticmethod
    def ask(port, body):
        answer = harness.post(port, "/v1/completions", body)
        if answer.status != 200:
            raise AssertionError(f"{answer.status}: {answer.body[:300]}")
        return [(entry["id"], entry["logprob"]) for entry in answer.json()["choices"][0]["logprobs"]["content"]]

    @staticmethod
    def hang_up(port, body):
        with harness.stream(port, "/v1/completions", {**body, "max_tokens": 200}) as (_, events):
            next(events)

    def check(self, *arguments):
        with harness.ready_server(self.model, *self.server_flags, *arguments) as server:
            for first in range(0, REQUESTS, 10):
                bodies = self.bodies[first:first + 10]
                work = [lambda b=body: self.ask(server.port, b) for body in bodies]
                work += [lambda b=body: self.hang_up(server.port, b) for body in self.bodies[:3]]
                together = harness.in_parallel(work)[:len(bodies)]
                for number, (got, want) in enumerate(zip(together, self.alone[first:first + 10]), first):
                    self.assertEqual(got, want, f"request {number}: {self.bodies[number]}")

    def test_choices(self):
        """n choices of one seed give the same texts beside other, different requests as alone."""
        def choices(port, number):
            body = {**self.bodies[number], "n": 3, "temperature": 1.0, "max_tokens": 20}
            answer = harness.post(port, "/v1/completions", body)
            self.assertEqual(answer.status, 200, answer.body[:300])
            return [[(entry["id"], entry["logprob"]) for entry in choice["logprobs"]["content"]]
                    for choice in answer.json()["choices"]]
        with harness.ready_server(self.model, *self.server_flags, "-t", "2") as server:
            alone = [choices(server.port, number) for number in range(6)]
            for number, texts in enumerate(alone):
                self.assertEqual(len({str(text) for text in texts}), 3, f"request {number}: choices are drawn apart")
            work = [lambda n=number: choices(server.port, n) for number in range(6)]
            work += [lambda b=body: self.ask(server.port, b) for body in self.bodies[6:12]]
            together = harness.in_parallel(work)
        self.assertEqual(together[:6], alone)
        self.assertEqual(together[6:], self.alone[6:12])

    def test_other_threads(self):
        self.check("-t", "2")

    def test_small_steps(self):
        self.check("-t", "2", "-b", "32")

    def test_few_at_once(self):
        self.check("--parallel", "3")

    def test_more_threads_than_cores(self):
        self.check("-t", "5", "-b", "100")


class Int8BatchInvarianceTest(BatchInvarianceTest):
    server_flags = ("--exact", "--cache-type-k", "q8_0", "--cache-type-v", "q8_0")
    test_choices = test_few_at_once = test_more_threads_than_cores = None


if __name__ == "__main__":
    harness.main()
