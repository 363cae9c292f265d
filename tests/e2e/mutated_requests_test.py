#!/usr/bin/env python3
"""500 requests that are wrong in some way, made from right ones by a seeded mutator, against one server.

Each gets a well-formed answer within its time: a 200 of its route's shape, or an error whose body has message and type
and, where the body was an object at all, names the field. The process lives, and right requests are answered between
them and behind them.
"""
import copy
import json
import random
import tempfile
import unittest

import harness

MUTATIONS = 500
VALID = [
    ("/v1/chat/completions", {
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello there."}],
        "max_tokens": 2, "temperature": 0.7, "top_p": 0.9, "seed": 1, "n": 2, "stop": ["\n\n"], "logprobs": True,
        "top_logprobs": 2, "presence_penalty": 0.5, "frequency_penalty": 0.5, "logit_bias": {"5": 1}, "user": "u"}),
    ("/v1/chat/completions", {
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}], "max_completion_tokens": 2,
        "stream": True, "stream_options": {"include_usage": True}}),
    ("/v1/completions", {
        "prompt": ["Once upon", [1, 2, 3]], "max_tokens": 2, "echo": True, "logprobs": 2, "repeat_penalty": 1.1,
        "repeat_last_n": 8, "top_k": 5, "min_p": 0.05, "best_of": 1, "ignore_eos": True, "typical_p": 0.9}),
    ("/v1/completions", {"prompt": "x", "n_predict": 2, "stream": True, "cache_prompt": True, "logit_bias": [[5, False]]}),
    ("/tokenize", {"content": "some words", "add_special": True, "with_pieces": True}),
    ("/detokenize", {"tokens": [1, 2, 3]}),
]
ODD = [None, True, False, 0, -1, 1, 2, 1.5, -0.0, 1e308, -1e308, 2**31, 2**53 + 1, 2**63, 2**64, -2**63, 10**40, "", "x",
       "\u0000", "\ud83d\ude00", "a" * 3000, [], {}, [[]], [{}], [None], {"": None}, [1, "a"], {"a": {"b": [1]}}, "1", [""]]
NAMES = ["", "no_such_field", "temperatura", "n", "messages", "prompt", "suffix", "grammar", "__proto__", "a" * 500, "\u00e9"]


def places(value, path=()):
    """Every place in a JSON value, as paths."""
    found = [path]
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        found += places(item, path + (key,))
    return found


def holder(body, path):
    for key in path[:-1]:
        body = body[key]
    return body


def mutate_value(draw, body):
    """One or two changes that leave JSON: drop, retype, rename, wrap, grow."""
    body = copy.deepcopy(body)
    for _ in range(draw.choice((1, 1, 2))):
        paths = [path for path in places(body) if path]
        kind = draw.randrange(6)
        if kind == 0 or not paths:
            body[draw.choice(NAMES)] = copy.deepcopy(draw.choice(ODD))
            continue
        path = draw.choice(paths)
        inside, key = holder(body, path), path[-1]
        if kind == 1:
            del inside[key]
        elif kind in (2, 3):
            inside[key] = copy.deepcopy(draw.choice(ODD))
        elif kind == 4 and isinstance(inside, dict):
            inside[draw.choice(NAMES)] = inside.pop(key)
        else:
            wrapped = inside[key]
            for _ in range(draw.choice((1, 5, 31, 40))):
                wrapped = [wrapped]
            inside[key] = wrapped
    return json.dumps(body).encode()


def mutate_bytes(draw, text):
    """Changes that mostly leave no JSON: cut, double a key, bad UTF-8, flipped and doubled bytes, deep nesting."""
    kind = draw.randrange(6)
    at = draw.randrange(len(text))
    if kind == 0:
        return text[:at]
    if kind == 1:
        return text[:-1] + b"," + text[1:]
    if kind == 2:
        return text[:at] + draw.choice((b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\x00", b"\xe2\x82")) + text[at:]
    if kind == 3:
        return text[:at] + bytes([text[at] ^ (1 << draw.randrange(8))]) + text[at + 1:]
    if kind == 4:
        return text[:at] + text[at:at + 40] + text[at:]
    depth = draw.choice((33, 1000, 200000))
    return b'{"prompt":' + b"[" * depth + b"]" * draw.choice((0, depth)) + b"}"


def as_object(body):
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


class MutatedRequestsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="tenfold-mutated-")
        cls.addClassCleanup(folder.cleanup)
        cls.model = harness.make_model(folder.name, "tiny-qwen3", "--types", "q8_0", "--seed", "3")

    def check_answer(self, path, body, answer):
        where = f"{path} {body[:300]!r} -> {answer.status} {answer.body[:300]!r}"
        if answer.status == 200:
            if answer.headers["Content-Type"].startswith("text/event-stream"):
                self.assertTrue(answer.body.endswith(b"data: [DONE]\n\n"), where)
            else:
                self.assertIsInstance(answer.json(), dict, where)
            return
        self.assertIn(answer.status, (400, 404, 501), where)
        error = answer.json()["error"]
        self.assertTrue(error["message"] and error["type"], where)
        if as_object(body) is None or error["code"] == "context_length_exceeded":
            return
        if "not valid JSON" in error["message"] or "cannot be read as JSON" in error["message"]:
            return  # what Python's parser lets through: NaN, halves of surrogate pairs, any depth
        if "Unknown field ''" in error["message"]:
            return  # a field without a name
        self.assertTrue(error["param"], "no field named: " + where)
        self.assertIn(error["param"].split("[")[0].split(".")[0], error["message"], where)

    def test_each_is_answered_and_the_process_lives(self):
        draw = random.Random(20261124)
        statuses = {}
        with harness.ready_server(self.model, "-c", "128") as server:
            for number in range(MUTATIONS):
                path, valid = draw.choice(VALID)
                body = mutate_value(draw, valid) if draw.random() < 0.7 else mutate_bytes(draw, json.dumps(valid).encode())
                answer = harness.request(server.port, "POST", path, body, {"Content-Type": "application/json"}, timeout=30)
                self.check_answer(path, body, answer)
                statuses[answer.status] = statuses.get(answer.status, 0) + 1
                if number % 50 == 0:
                    self.check_good(server)
            self.check_good(server)
            self.assertIsNone(server.process.poll())
            harness.wait_until(lambda: server.health()["running"] == 0, 10, "no request is running")
        # The mutator must hit both what passes and what is refused, or it tests nothing.
        self.assertGreater(statuses.get(200, 0), 20, statuses)
        self.assertGreater(statuses.get(400, 0), 200, statuses)

    def check_good(self, server):
        for path, body in VALID:
            answer = harness.post(server.port, path, body)
            self.assertEqual(answer.status, 200, (path, answer.body[:300]))


if __name__ == "__main__":
    harness.main()
