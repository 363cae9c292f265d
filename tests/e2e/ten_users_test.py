#!/usr/bin/env python3
"""Ten users at the same moment, five times, each with another question: fifty answers, every one whole and the right one.

Whole: status 200, a finish_reason, [DONE], the number of tokens that usage says. Right: the text is the one the same
question gets alone (--exact: an answer depends on nothing but its request). TEN_USERS_MODEL=file.gguf asks that model,
and TEN_USERS_EXACT=0 asks it as it is shipped, where texts may part after a rounding (README, limits): then they are
counted, and only wholeness is demanded. TEN_USERS_URL=127.0.0.1:port asks a server that is running there already, and
demands nothing: for seeing another project's server under the same load.
"""
import contextlib
import os
import random
import shutil
import statistics
import tempfile
import time
import unittest

import harness

USERS, ROUNDS = 10, 5
MODEL = os.environ.get("TEN_USERS_MODEL")
RUNNING = os.environ.get("TEN_USERS_URL")
EXACT = os.environ.get("TEN_USERS_EXACT", "1") != "0" and not RUNNING
TOKENS = int(os.environ.get("TEN_USERS_TOKENS", "24"))
WORDS = "river stone lamp tomorrow engine copper seven garden winter paper signal bridge market orange quiet".split()


def question(user, number):
    """Another question for each user and round, of another length."""
    draw = random.Random(1000 * number + user)
    text = " ".join(draw.choice(WORDS) for _ in range(10 + 6 * user + 3 * number))
    # Greedily, a model of toy size says the same to many a question.
    draws = {"temperature": 0} if MODEL or RUNNING else {"temperature": 0.9, "seed": 100 * number + user}
    return {"messages": [{"role": "user", "content": f"User {user}, question {number}: {text}?"}], **draws,
            "max_tokens": TOKENS, "stream_options": {"include_usage": True}}


class TenUsersTest(unittest.TestCase):
    @contextlib.contextmanager
    def server(self):
        if RUNNING:
            yield int(RUNNING.rsplit(":", 1)[1])
            return
        model = MODEL
        if not model:
            folder = tempfile.mkdtemp(prefix="tenfold-users-")
            self.addCleanup(shutil.rmtree, folder)
            model = harness.make_model(folder, "tiny-qwen3", "--types", "q4_k_m", "--seed", "5")
        with harness.ready_server(model, *(["--exact"] if EXACT else []), "-c", "2048", "--kv-memory", "2G") as server:
            yield server.port

    def ask(self, port, body):
        """(seconds, text) of a streamed answer; what is not whole fails here."""
        started = time.monotonic()
        chunks = harness.stream_all(port, "/v1/chat/completions", body, timeout=600)
        seconds = time.monotonic() - started
        choices = [chunk["choices"][0] for chunk in chunks if chunk["choices"]]
        self.assertIn(choices[-1]["finish_reason"], ("stop", "length"))
        self.assertEqual([choice["finish_reason"] for choice in choices[:-1] if choice["finish_reason"]], [])
        usage = chunks[-1]["usage"]
        self.assertGreater(usage["completion_tokens"], 0)
        if choices[-1]["finish_reason"] == "length":
            self.assertEqual(usage["completion_tokens"], TOKENS)
        text = "".join(choice["delta"].get("reasoning_content") or choice["delta"].get("content") or "" for choice in choices)
        self.assertTrue(text, "an empty answer")
        return seconds, text

    def test_fifty_of_fifty(self):
        with self.server() as port:
            questions = [[question(user, number) for user in range(USERS)] for number in range(ROUNDS)]
            answers = [harness.in_parallel([lambda b=body: self.ask(port, b) for body in bodies]) for bodies in questions]
            seconds = [statistics.mean(answer[0] for answer in answers[number]) for number in range(ROUNDS)]
            print(f"{sum(map(len, answers))} of {USERS * ROUNDS} whole; mean response of each round, s: "
                  + " ".join(f"{value:.2f}" for value in seconds))
            alone = [[self.ask(port, body) for body in bodies] for bodies in questions]
            equal = sum(together[1] == single[1] for pair in zip(answers, alone) for together, single in zip(*pair))
            texts = {single[1] for singles in alone for single in singles}
            print(f"{equal} of {USERS * ROUNDS} the same text as alone, {len(texts)} different texts")
            self.assertGreater(len(texts), USERS * ROUNDS // 2, "answers that are all alike prove nothing")
            if EXACT:
                self.assertEqual(equal, USERS * ROUNDS)


if __name__ == "__main__":
    harness.main()
