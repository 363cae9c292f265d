#!/usr/bin/env python3
"""The prefix cache as clients see it: real processes, different requests, answers compared token by token.

Ten requests with one long common beginning that arrive at once compute it once; with ten salts each computes its own.
What a request gets is the same either way (--exact), and `cached_tokens` tells which it was.
"""
import shutil
import tempfile
import unittest

import harness

COMMON = [(i * 131 + 7) % 2000 for i in range(320)]


def body(number, **more):
    return {"prompt": COMMON + [(number * 17 + i * 3 + 1) % 2000 for i in range(5 + number)], "max_tokens": 12,
            "ignore_eos": True, "logprobs": 0, "seed": number, "temperature": 0.8, **more}


def ask(port, request):
    """Tokens with log-probabilities, and the usage, of a streamed answer."""
    chunks = harness.stream_all(port, "/v1/completions", {**request, "stream_options": {"include_usage": True}})
    tokens = [(entry["id"], entry["logprob"]) for chunk in chunks for choice in chunk["choices"] if choice.get("logprobs")
              for entry in choice["logprobs"]["content"]]
    return tokens, chunks[-1]["usage"]


class PrefixCacheTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        harness.tool("make_gguf.py")
        folder = tempfile.mkdtemp(prefix="tenfold-prefix-")
        cls.addClassCleanup(shutil.rmtree, folder)
        cls.model = harness.make_model(folder, "tiny-qwen3", "--types", "q4_k_m", "--seed", "12")
        with harness.ready_server(cls.model, "--exact", "--no-prefix-cache") as server:
            assert server.health()["optimization"]["prefix_cache"] is False
            cls.alone = []
            for number in range(10):
                tokens, usage = ask(server.port, body(number))
                assert usage["prompt_tokens_details"]["cached_tokens"] == 0
                cls.alone.append(tokens)
            again, usage = ask(server.port, body(3))
            assert again == cls.alone[3] and usage["prompt_tokens_details"]["cached_tokens"] == 0

    def wave(self, server, requests):
        """Answers to all at once must be those of each alone; the prompt tokens computed and found meanwhile."""
        names = ("llamacpp:prompt_tokens_total", "vllm:prefix_cache_hits_total")
        before = [harness.metric(server.port, name) for name in names]
        answers = harness.in_parallel([lambda r=request: ask(server.port, r) for request in requests])
        for number, (tokens, usage) in enumerate(answers):
            self.assertEqual(tokens, self.alone[number], f"request {number}")
            self.assertEqual(usage["prompt_tokens"], len(requests[number]["prompt"]))
        computed, found = (harness.metric(server.port, name) - was for name, was in zip(names, before))
        self.assertEqual(found, sum(usage["prompt_tokens_details"]["cached_tokens"] for _, usage in answers))
        return computed, found

    def test_a_cold_wave_computes_its_beginning_once(self):
        requests = [body(number) for number in range(10)]
        total = sum(len(request["prompt"]) for request in requests)
        with harness.ready_server(self.model, "--exact", "-b", "64") as server:
            computed, found = self.wave(server, requests)
            self.assertEqual(computed + found, total)
            self.assertEqual(found, 9 * len(COMMON))
            warm, _ = self.wave(server, requests)
            self.assertLess(warm, total - 10 * len(COMMON) + 1, "the second wave finds all of it")
            self.assertEqual(server.health()["kv_use"], 0)

    def test_salts_share_nothing(self):
        requests = [body(number, cache_salt=f"user {number}") for number in range(10)]
        with harness.ready_server(self.model, "--exact") as server:
            ask(server.port, body(0))  # without a salt, and for nobody with one
            computed, found = self.wave(server, requests)
            self.assertEqual((computed, found), (sum(len(request["prompt"]) for request in requests), 0))
            _, found = self.wave(server, requests)
            self.assertEqual(found, sum((len(request["prompt"]) - 1) // 16 * 16 for request in requests))

    def test_permission_scores_choices_and_bad_salts(self):
        with harness.ready_server(self.model, "--exact") as server:
            def cached(request):
                answer = harness.post(server.port, "/v1/completions", request)
                self.assertEqual(answer.status, 200, answer.body)
                return answer.json()["usage"]["prompt_tokens_details"]["cached_tokens"], answer.json()["timings"]["cache_n"]
            first = body(0)
            whole = (len(first["prompt"]) - 1) // 16 * 16
            self.assertEqual(cached(first), (0, 0))
            self.assertEqual(cached({**first, "cache_prompt": False}), (0, 0))
            self.assertEqual(cached({**first, "echo": True}), (0, 0), "its prompt is scored")
            self.assertEqual(cached(first), (whole, whole))
            # Choices share their prompt; it counts once in the usage.
            self.assertEqual(cached({**body(1), "n": 4, "cache_salt": "x"}), (0, 3 * ((len(body(1)["prompt"]) - 1) // 16 * 16)))
            for bad in ("", 5, "x" * 1025):
                answer = harness.post(server.port, "/v1/completions", {**first, "cache_salt": bad})
                self.assertEqual(answer.status, 400)
                self.assertEqual(answer.json()["error"]["param"], "cache_salt")

    def test_conversations_find_their_own_past(self):
        with harness.ready_server(self.model, "--exact") as server:
            def say(messages):
                answer = harness.post(server.port, "/v1/chat/completions", {"messages": messages, "max_tokens": 40, "seed": 1})
                self.assertEqual(answer.status, 200, answer.body)
                return answer.json()["usage"]
            messages = [{"role": "system", "content": "You answer in verse. " * 20}, {"role": "user", "content": "Hello there"}]
            first = say(messages)
            self.assertEqual(first["prompt_tokens_details"]["cached_tokens"], 0)
            messages += [{"role": "assistant", "content": "Hello."}, {"role": "user", "content": "And now?"}]
            second = say(messages)
            self.assertGreater(second["prompt_tokens_details"]["cached_tokens"], first["prompt_tokens"] * 0.8)


if __name__ == "__main__":
    harness.main()
