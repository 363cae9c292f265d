#!/usr/bin/env python3
"""Served log-probabilities against an exact float64 forward pass: those of a chat's answer, with its alternatives, and
those of a prompt's own tokens (echo), token by token, on tiny models with random weights and --exact.

Bars: a whole answer's mean difference is held to exactness.py's bar of the weight format; see there.
"""
import shutil
import tempfile
import unittest

import exactness
import harness

ANSWER_TOKENS = 12
TOP = 20
PROMPTS = (2, 17, 60)  # tokens
CHATS = ("Tell me a story.", "Why is the sky blue, and why is it sometimes red? Be short.")


class LogprobsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        harness.tool("ref_forward.py")
        cls.folder = tempfile.mkdtemp(prefix="tenfold-logprobs-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)

    def served(self, port, path, body):
        answer = harness.post(port, path, body)
        self.assertEqual(answer.status, 200, answer.body[:300])
        return answer.json()

    def chat_differences(self, port, rows_of, text):
        messages = [{"role": "user", "content": text}]
        prompt = self.served(port, "/apply-template", {"messages": messages})["prompt"]
        ids = self.served(port, "/tokenize", {"content": prompt, "add_special": True, "parse_special": True})["tokens"]
        # Without ignore_eos, which takes the ends of generation out of the distribution the reference has.
        body = {"messages": messages, "max_tokens": ANSWER_TOKENS, "logprobs": True, "top_logprobs": TOP,
                "temperature": 1, "seed": len(text)}
        answer = self.served(port, "/v1/chat/completions", body)
        self.assertEqual(answer["usage"]["prompt_tokens"], len(ids))
        content = answer["choices"][0]["logprobs"]["content"]
        self.assertEqual(len(content), answer["usage"]["completion_tokens"])
        self.assertGreaterEqual(len(content), 4, "too short an answer to say anything: take another seed")
        rows = rows_of(ids + [entry["id"] for entry in content])
        found = []
        for entry, row in zip(content, rows[len(ids) - 1:]):
            self.assertEqual(len(entry["top_logprobs"]), TOP)
            for given in (entry, *entry["top_logprobs"]):
                found.append(abs(given["logprob"] - row[given["id"]]))
        return found

    def echo_differences(self, port, rows_of, prompt):
        body = {"prompt": prompt, "echo": True, "logprobs": TOP, "max_tokens": 0}
        logprobs = self.served(port, "/v1/completions", body)["choices"][0]["logprobs"]
        self.assertEqual([entry["id"] for entry in logprobs["content"]], prompt)
        self.assertIsNone(logprobs["token_logprobs"][0])
        self.assertEqual(logprobs["token_logprobs"], [entry["logprob"] for entry in logprobs["content"]])
        found = []
        for entry, row in zip(logprobs["content"][1:], rows_of(prompt)):
            for given in (entry, *entry["top_logprobs"]):
                found.append(abs(given["logprob"] - row[given["id"]]))
        return found

    def check(self, preset, types):
        model = harness.make_model(self.folder, preset, "--types", types, "--seed", "5")
        reference = exactness.Reference(model)

        def rows_of(ids):
            return reference.module.logprobs(reference.model.forward(list(ids)))
        with harness.ready_server(model, "--exact", "-c", "512") as server:
            chat = [d for text in CHATS for d in self.chat_differences(server.port, rows_of, text)]
            prompts = exactness.random_prompts(5, reference.ordinary_tokens, PROMPTS)
            echo = [d for prompt in prompts for d in self.echo_differences(server.port, rows_of, prompt)]
        bar = exactness.BARS[preset, types]
        for name, found in (("chat", chat), ("echo", echo)):
            mean = sum(found) / len(found)
            print(f"{preset} {types} {name}: mean {mean:.5f} worst {max(found):.5f} bar {bar} of {len(found)}")
            self.assertLessEqual(mean, bar, f"{preset} {types} {name}")

    def test_f32(self):
        self.check("tiny-qwen3", "f32")

    def test_q8_0(self):
        self.check("tiny-qwen3", "q8_0")

    def test_q4_k_m(self):
        self.check("tiny-qwen3", "q4_k_m")


if __name__ == "__main__":
    harness.main()
