#!/usr/bin/env python3
"""Structured output with a real vocabulary and random weights: whatever the model would like to say, the answer fits.

200 answers at temperature 1.5 must parse and validate against a schema with nested arrays, enums and references, half of
them ten at once and streamed; ten different constraints at once must give what each gives alone.
"""
import json
import re
import shutil
import tempfile
import unittest

import harness

try:
    import jsonschema
except ImportError:
    jsonschema = None

RUNS = 200
# Of bounded size, so that no answer needs max_tokens to end.
SCHEMA = {
    "$defs": {
        "colour": {"enum": ["red", "green", "blue", None, 7]},
        "point": {"type": "object", "properties": {"x": {"type": "integer", "minimum": -9, "maximum": 120},
                                                   "y": {"type": "number", "minimum": 0, "maximum": 1}},
                  "required": ["x", "y"], "additionalProperties": False},
        "chain": {"type": "object", "properties": {"at": {"$ref": "#/$defs/point"}, "id": {"type": "string", "format": "uuid"}},
                  "required": ["at"], "additionalProperties": False},
    },
    "type": "object",
    "title": "a drawing",
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 12},
        "grid": {"type": "array", "minItems": 1, "maxItems": 3,
                 "items": {"type": "array", "items": {"type": "integer"}, "maxItems": 3}},
        "colour": {"$ref": "#/$defs/colour"},
        "path": {"type": "array", "items": {"$ref": "#/$defs/chain"}, "maxItems": 2},
        "day": {"type": "string", "format": "date"},
        "code": {"type": "string", "pattern": "^[A-Z]{2}-[0-9]{1,3}$"},
        "more": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/point"}, {"type": "boolean"}]},
    },
    "required": ["name", "grid", "colour", "path", "more"],
    "additionalProperties": False,
}
MESSAGES = [{"role": "user", "content": "Draw something."}]


def constraint(number):
    """One of several kinds, each different from all others, and what its answers must match."""
    letter = chr(ord("a") + number)
    if number % 3 == 0:
        return {"grammar": f'root ::= "<{letter}>" [0-9]{{2,9}} ("," [{letter}-z]{{1,8}}){{1,4}} "</{letter}>"'}, \
            re.compile(f"<{letter}>[0-9]{{2,9}}(,[{letter}-z]{{1,8}}){{1,4}}</{letter}>")
    if number % 3 == 1:
        schema = {"type": "array", "items": {"enum": [f"{letter}{i}" for i in range(5)]}, "minItems": 2, "maxItems": 9}
        return {"json_schema": schema}, schema
    schema = {"type": "object", "properties": {letter: {"type": "string", "maxLength": 9}, "n": {"type": "integer"}},
              "required": [letter, "n"], "additionalProperties": False}
    return {"response_format": {"type": "json_schema", "json_schema": {"name": letter, "schema": schema}}}, schema


class StructuredOutputTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if jsonschema is None:
            raise unittest.SkipTest("python3-jsonschema is not installed")
        harness.tool("make_gguf.py")
        folder = tempfile.mkdtemp(prefix="tenfold-structured-")
        cls.addClassCleanup(shutil.rmtree, folder)
        vocabulary = harness.data("tokenizer/qwen2")
        cls.model = harness.make_model(folder, "tiny-qwen3-realvocab", "--types", "q8_0", "--vocab", str(vocabulary))

    def check(self, text, want):
        if isinstance(want, re.Pattern):
            self.assertIsNotNone(want.fullmatch(text), text)
            return
        value = json.loads(text)  # one value and nothing behind it
        jsonschema.validate(value, want, format_checker=jsonschema.FormatChecker())

    def ask(self, port, fields, streamed, seed):
        body = {"messages": MESSAGES, "max_tokens": 1800, "temperature": 1.5, "seed": seed, **fields}
        if streamed:
            chunks = [chunk["choices"][0] for chunk in harness.stream_all(port, "/v1/chat/completions", body) if chunk["choices"]]
            text = "".join(choice["delta"].get("content") or "" for choice in chunks)
            reason = chunks[-1]["finish_reason"]
        else:
            answer = harness.post(port, "/v1/chat/completions", body)
            self.assertEqual(answer.status, 200, answer.body)
            choice = answer.json()["choices"][0]
            text, reason = choice["message"]["content"], choice["finish_reason"]
        self.assertEqual(reason, "stop", text)
        return text

    def test_every_answer_validates(self):
        fields = {"response_format": {"type": "json_schema", "json_schema": {"name": "drawing", "strict": True, "schema": SCHEMA}}}
        with harness.ready_server(self.model, "-c", "2048") as server:
            texts = []
            for first in range(0, RUNS, 10):
                work = [lambda s=seed: self.ask(server.port, fields, s % 2 == 0, s) for seed in range(first, first + 10)]
                texts += harness.in_parallel(work)
            for text in texts:
                self.check(text, SCHEMA)
            self.assertGreater(len(set(texts)), RUNS * 9 // 10, "random answers must differ")

    def test_different_constraints_at_once(self):
        kinds = [constraint(number) for number in range(10)]
        with harness.ready_server(self.model, "-c", "2048", "--exact") as server:
            alone = [self.ask(server.port, fields, False, 40 + i) for i, (fields, _) in enumerate(kinds)]
            for text, (_, want) in zip(alone, kinds):
                self.check(text, want)
            together = harness.in_parallel(
                [lambda i=i, f=fields: self.ask(server.port, f, i % 2 == 0, 40 + i) for i, (fields, _) in enumerate(kinds)])
            self.assertEqual(together, alone)

    def test_json_object(self):
        with harness.ready_server(self.model, "-c", "2048") as server:
            parsed = 0
            for seed in range(8):
                answer = harness.post(server.port, "/v1/chat/completions", {
                    "messages": MESSAGES, "max_tokens": 120, "temperature": 1.5, "seed": seed,
                    "response_format": {"type": "json_object"}})
                choice = answer.json()["choices"][0]
                text = choice["message"]["content"]
                self.assertTrue(text.startswith("{"), text)
                if choice["finish_reason"] == "stop":
                    self.assertIsInstance(json.loads(text), dict)
                    parsed += 1
                else:
                    self.assertEqual(choice["finish_reason"], "length")
            self.assertGreater(parsed, 0)

    def test_refusals_name_the_keyword(self):
        with harness.ready_server(self.model, "-c", "2048") as server:
            for schema, said in (({"type": "object", "properties": {"a": {"not": {}}}}, "#/properties/a: the schema keyword 'not'"),
                                 ({"type": "array", "uniqueItems": True}, "'uniqueItems'"),
                                 ({"$ref": "#"}, "left recursion")):
                answer = harness.post(server.port, "/v1/chat/completions", {"messages": MESSAGES, "json_schema": schema})
                self.assertEqual(answer.status, 400, answer.body)
                error = answer.json()["error"]
                self.assertEqual(error["param"], "json_schema")
                self.assertIn(said, error["message"])
            self.assertEqual(harness.get(server.port, "/health").json()["status"], "ready")


if __name__ == "__main__":
    harness.main()
