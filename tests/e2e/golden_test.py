#!/usr/bin/env python3
"""A trained model's greedy story, token for token: alone, streamed, and while nine other requests run.

The story is 200 tokens of stories260K (Karpathy's llama2.c), whose text that project's own test expects. Each of the
nine others must give, in company, exactly what it gives alone.
"""
import json
import unittest

import harness

# Prompts of different lengths, so that prefill chunks, single tokens and finished rows mix in the steps.
OTHERS = [
    "Once upon a time", "The little dog", "Lily and Tom went to the park. They saw a big", "One day, a girl named",
    "The sun was", "In the forest there lived a bear who was very", "Mom said", "He had a red ball. The ball was",
    "It was dark and the cat was alone. She wanted to find her friend, but the door was closed and the rain",
]


def ids_of(logprobs):
    return [entry["id"] for entry in logprobs["content"]]


class GoldenTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.model = harness.data("models/stories260K/stories260K.gguf")
        golden = json.loads(harness.data("models/stories260K/golden_greedy.json").read_text(encoding="utf-8"))
        cls.ids, cls.text = golden["ids"][1:201], golden.get("text")

    def story(self, port, tokens=200):
        body = {"prompt": [1], "max_tokens": tokens, "temperature": 0, "logprobs": 1}
        answer = harness.post(port, "/v1/completions", body)
        self.assertEqual(answer.status, 200, answer.body)
        return answer.json()["choices"][0]

    def check_story(self, port):
        choice = self.story(port)
        self.assertEqual(ids_of(choice["logprobs"]), self.ids)
        if self.text:
            self.assertTrue(self.text.startswith(choice["text"]), choice["text"])
        self.assertEqual(choice["finish_reason"], "length")
        return choice["text"]

    def other(self, port, number):
        body = {"prompt": OTHERS[number], "max_tokens": 40 + 17 * number, "temperature": 0, "ignore_eos": True}
        answer = harness.post(port, "/v1/completions", body)
        self.assertEqual(answer.status, 200, answer.body)
        return answer.json()["choices"][0]["text"]

    def check_everything(self, *arguments, isa=None):
        with harness.ready_server(self.model, *arguments, isa=isa) as server:
            port = server.port
            if isa:
                self.assertEqual(server.health()["optimization"]["isa"], isa)
            text = self.check_story(port)
            chunks = harness.stream_all(port, "/v1/completions", {"prompt": [1], "max_tokens": 200, "temperature": 0})
            self.assertEqual("".join(c["choices"][0]["text"] for c in chunks if c["choices"]), text)
            alone = [self.other(port, number) for number in range(len(OTHERS))]
            together = harness.in_parallel(
                [lambda: self.check_story(port)] + [lambda n=n: self.other(port, n) for n in range(len(OTHERS))])
            self.assertEqual(together[0], text)
            self.assertEqual(together[1:], alone)

    def test_widest(self):
        self.check_everything()

    def test_exact(self):
        self.check_everything("--exact")

    def test_scalar(self):
        self.check_isa("scalar")

    def test_avx2(self):
        self.check_isa("avx2")

    def test_avxvnni(self):
        self.check_isa("avxvnni")

    def test_avx512vnni(self):
        self.check_isa("avx512vnni")

    def check_isa(self, isa):
        if isa not in harness.cpu_isas():
            self.skipTest(f"this CPU has no {isa}")
        self.check_everything(isa=isa)


if __name__ == "__main__":
    harness.main()
