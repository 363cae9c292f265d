#!/usr/bin/env python3
"""200 model files that are damaged in some way, made from good ones by a seeded mutator, loaded by one living server.

Each file takes the place of the one the server was started with; POST /admin/load ends in ready or in error within its
time, an error is one sentence that names the file and, where the change has a name, the key or tensor it struck. A file
that loads all the same also answers. `tenfold inspect` reads each file too, and refuses none that the server serves.
The good file is loaded again and again between them, and answers as it did at first.
"""
import collections
import os
import pathlib
import random
import struct
import subprocess
import tempfile
import unittest

import gguf_edit
import harness

MUTATIONS = 200
LOAD_SECONDS = 20
ASK = {"prompt": [5, 6, 7], "max_tokens": 2, "temperature": 0}
CHAT = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1, "temperature": 0}
TYPES = {0: "u8", 1: "i8", 2: "u16", 3: "i16", 4: "u32", 5: "i32", 6: "f32", 7: "bool", 8: "str", 9: "array", 10: "u64"}
TEMPLATES = ["", "{% for %}", "{{ messages[0].content }}", "{{ 1 / 0 }}", "{% for m in messages %}{{ m.content }}",
             "{{ raise_exception('no') }}", "{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}", "{% include 'x' %}",
             "{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}", "\udcff\udcfe", "a" * 100000]
ODD_NUMBERS = [0, 1, 2, 3, 7, 255, 4096, 2**16, 2**31 - 1, 2**31, 2**32 - 1]
ODD_FLOATS = [0.0, -1.0, 1e-38, 1e38, float("inf"), float("-inf"), float("nan")]
HUGE = [2**31, 2**32, 2**40, 2**62, 2**63 - 1, 2**63, 2**64 - 1]


class Change:
    """A mutation: what it did, the words of which an error must have one (any error will do without words), and
    whether no file with it may load."""

    def __init__(self, what, *words, refused=False):
        self.what, self.words, self.refused = what, words, refused


def mutate_key(draw, file):
    """Drops, renames, retypes or sets one metadata key, arrays' lengths included."""
    name = draw.choice(list(file.keys))
    value = file.keys[name]
    kind = struct.unpack_from("<I", value)[0]
    action = draw.randrange(5)
    if action == 0:
        del file.keys[name]
        return Change(f"dropped {name}")
    if action == 1:
        file.keys[name + "x"] = file.keys.pop(name)
        return Change(f"renamed {name}")
    if action == 2:
        other = draw.choice([t for t in TYPES if t not in (kind, gguf_edit.ARRAY)])
        body = gguf_edit.text("1") if other == gguf_edit.STRING else bytes([1]) + bytes(gguf_edit.SIZES[other] - 1)
        file.keys[name] = struct.pack("<I", other) + body
        return Change(f"{name} is a {TYPES[other]}")
    if kind == gguf_edit.ARRAY:
        inner = struct.unpack_from("<I", value, 4)[0]
        if action == 3:  # an array without its items
            file.keys[name] = struct.pack("<IIQ", kind, inner, 0)
            return Change(f"{name} is empty")
        file.keys[name] = struct.pack("<IIQ", kind, inner, draw.choice(HUGE)) + value[16:]
        return Change(f"{name} says a huge length", name, refused=True)
    if kind == gguf_edit.STRING:
        file.set(name, "str", draw.choice(["", "x", "llama", "gpt2", "qwen3", "a" * 70000, "\udcff\udcc0"]))
    elif kind == 6:
        file.set(name, "f32", draw.choice(ODD_FLOATS))
    elif kind == 4:
        file.set(name, "u32", draw.choice(ODD_NUMBERS))
    else:
        file.keys[name] = value[:-1] + bytes([draw.randrange(256)])
    return Change(f"{name} has another value")


def mutate_template(draw, file):
    file.set("tokenizer.chat_template", "str", draw.choice(TEMPLATES))
    return Change("another chat template")


def mutate_tokenizer(draw, file):
    """Another kind of tokenizer over the same words, or words that are doubled, empty or cut."""
    action = draw.randrange(3)
    if action == 0:
        file.set("tokenizer.ggml.model", "str", draw.choice(["llama", "bert", "t5", "rwkv", "none", "plamo2", "no such"]))
        return Change("another tokenizer model")
    if action == 1:
        file.set("tokenizer.ggml.pre", "str", draw.choice(["default", "gpt-2", "llama-bpe", "no such", ""]))
        return Change("another pre-tokenizer", "tokenizer.ggml.pre", "pre-tokenizer")
    name = draw.choice(["tokenizer.ggml.tokens", "tokenizer.ggml.merges"])
    word = draw.choice(["", "a", " ", "a b c", "\udcff", "\u00e9" * 300])
    count = struct.unpack_from("<Q", file.keys[name], 8)[0]
    file.keys[name] = struct.pack("<IIQ", gguf_edit.ARRAY, gguf_edit.STRING, count) + gguf_edit.text(word) * count
    return Change(f"every word of {name} is {word[:9]!r}", "token", "merge", "vocabulary")


def mutate_tensor(draw, file):
    """Drops, doubles, renames one tensor, swaps its type or dimensions, or two tensors' names."""
    at = draw.randrange(len(file.tensors))
    name, dims, kind, data = file.tensors[at]
    action = draw.randrange(7)
    if action == 0:
        del file.tensors[at]
        return Change(f"{name} is gone", name, "output")
    if action == 1:
        file.tensors.append((name, dims, kind, data))
        return Change(f"{name} is there twice", name, refused=True)
    if action == 2:
        file.tensors[at] = (name + "x", dims, kind, data)
        return Change(f"{name} renamed", name, "output")
    if action == 3:
        other = draw.choice([k for k in (*range(0, 40), 255, 2**31, 2**32 - 1) if k != kind])
        file.tensors[at] = (name, dims, other, data)
        return Change(f"{name} has type {other}")  # its neighbour may be the one that then lies wrong
    if action == 4:
        other = [draw.choice([0, 1, 31, dims[0] + 1, dims[0] * 2, *HUGE])] + dims[1:]
        file.tensors[at] = (name, other, kind, data)
        return Change(f"{name} has dimensions {other}", name)
    if action == 5:
        other = draw.choice([dims[::-1] if len(dims) > 1 else dims * 2, dims + [1, 1], dims + [2], [1] * 9, []])
        file.tensors[at] = (name, other, kind, data)
        return Change(f"{name} has dimensions {other}", name, "dimensions")
    swap = draw.randrange(len(file.tensors))
    file.tensors[at] = (file.tensors[swap][0], dims, kind, data)
    file.tensors[swap] = (name, *file.tensors[swap][1:])
    return Change(f"{name} and {file.tensors[at][0]} have changed names")


def mutate_weights(draw, file):
    """Random or extreme bytes in one tensor: scales become infinite or not a number, the shape stays right."""
    at = draw.randrange(len(file.tensors))
    name, dims, kind, data = file.tensors[at]
    fill = draw.choice([bytes(len(data)), b"\xff" * len(data), b"\x00\x7c" * (len(data) // 2), draw.randbytes(len(data))])
    file.tensors[at] = (name, dims, kind, fill)
    return Change(f"{name} has other weights")


def mutate_bytes(draw, raw, head):
    """Flips, cuts, inserts and huge counts in a written file whose metadata end at `head`."""
    action = draw.randrange(6)
    if action == 0:
        return raw[:draw.choice([0, 3, 4, 23, draw.randrange(head), draw.randrange(len(raw)), len(raw) - 1])], Change("cut")
    if action == 1:
        at = draw.choice([8, 16])
        return raw[:at] + struct.pack("<Q", draw.choice(HUGE)) + raw[at + 8:], Change("huge count in the header", "header", refused=True)
    if action == 2:
        at = draw.randrange(24, head)
        return raw[:at] + struct.pack("<Q", draw.choice(HUGE)) + raw[at + 8:], Change(f"huge number at {at}")
    if action == 3:
        at = draw.randrange(head)
        return raw[:at] + draw.randbytes(draw.choice([1, 8, 32])) + raw[at:], Change(f"bytes put in at {at}")
    changed = bytearray(raw)
    for _ in range(draw.choice([1, 3, 20])):
        changed[draw.randrange(head if action == 4 else 300)] ^= 1 << draw.randrange(8)
    return bytes(changed), Change("flipped bits")


STRUCTURED = [mutate_key, mutate_key, mutate_template, mutate_tokenizer, mutate_tensor, mutate_tensor, mutate_weights]


def as_sentencepiece(file):
    """The same model with a SentencePiece vocabulary: bytes, then made-up words, each with its score."""
    count = struct.unpack_from("<Q", file.keys["tokenizer.ggml.tokens"], 8)[0]
    words = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    words += [f"\u2581w{number}" for number in range(count - len(words))]
    types = [2, 3, 3] + [6] * 256 + [1] * (count - 259)
    file.keys["tokenizer.ggml.tokens"] = struct.pack("<IIQ", 9, 8, count) + b"".join(map(gguf_edit.text, words))
    file.keys["tokenizer.ggml.scores"] = struct.pack(f"<IIQ{count}f", 9, 6, count, *(-float(i) for i in range(count)))
    file.keys["tokenizer.ggml.token_type"] = struct.pack(f"<IIQ{count}i", 9, 5, count, *types)
    for name in ("merges", "pre", "padding_token_id"):
        file.keys.pop(f"tokenizer.ggml.{name}")
    file.set("tokenizer.ggml.model", "str", "llama")
    file.set("tokenizer.ggml.bos_token_id", "u32", 1)
    file.set("tokenizer.ggml.eos_token_id", "u32", 2)


class MutatedFilesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="tenfold-mutated-files-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        made = [harness.make_model(cls.folder, preset, "--types", types, "--seed", "3") for preset, types in (
            ("tiny-llama", "q4_k_m"), ("tiny-qwen2", "q8_0"), ("tiny-qwen3", "q4_0"), ("tiny-llama", "f16"))]
        sentencepiece = gguf_edit.Gguf(made[0])
        as_sentencepiece(sentencepiece)
        cls.good = [*made, sentencepiece.write(cls.folder / "sentencepiece.gguf")]
        cls.parts = [cls.folder / f"model-{number:05}-of-00003.gguf" for number in (1, 2, 3)]

    def place(self, *contents):
        """Puts the files where the server looks; by renaming, as what is mapped must not change under it."""
        for path in self.parts:
            path.unlink(missing_ok=True)
        for path, content in zip(self.parts, contents):
            (self.folder / "next").write_bytes(content)
            os.replace(self.folder / "next", path)

    def write_mutated(self, draw, number):
        """One mutated file, or three parts of which one is, in place; what was done."""
        file = gguf_edit.Gguf(draw.choice(self.good))
        raw_change = draw.random() < 0.35
        change = None if raw_change else draw.choice(STRUCTURED)(draw, file)
        split = number % 5 == 0 and len(file.tensors) > 9
        if split:
            written = file.write_split(self.folder, "split", [0, 9, len(file.tensors) - 9])
        else:
            written = [file.write(self.folder / "whole.gguf")]
        contents = [path.read_bytes() for path in written]
        if raw_change:
            at = draw.randrange(len(contents))
            first = min((len(data) for data in contents if len(data) > 300), default=300)
            head = min(first, 60000 if at == 0 else 400)
            contents[at], change = mutate_bytes(draw, contents[at], head)
        self.place(*contents)
        if split and draw.random() < 0.1:
            self.parts[draw.choice([1, 2])].unlink()
            return Change("a part is gone", "part", refused=True)
        if split:
            change.what += ", in parts"
        return change

    def load(self, server):
        """Loads what is in place; (status, message)."""
        harness.post(server.port, "/admin/unload", {})
        harness.wait_until(lambda: server.health()["status"] in ("not_loaded", "error"), LOAD_SECONDS, "unloaded")
        answer = harness.post(server.port, "/admin/load", {})
        self.assertIn(answer.status, (200, 202), answer.body)

        def done():
            health = server.health()
            return health["status"] in ("ready", "error") and health
        health = harness.wait_until(done, LOAD_SECONDS, "ready or error")
        return health["status"], health.get("error", {}).get("message", "")

    def check_sentence(self, message, change, where):
        self.assertNotRegex(message, r"[\x00-\x1f\x7f]", where)
        self.assertLess(len(message), 600, where)
        self.assertIn(self.parts[0].name[:9], message, where)
        self.assertGreater(len(message.replace(str(self.parts[0]), "").split()), 3, "no reason given: " + where)
        if change.words:
            self.assertTrue(any(word in message for word in change.words), f"none of {change.words}: {where}")

    def check_inspect(self, status, where):
        done = subprocess.run([harness.binary(), "inspect", str(self.parts[0])], capture_output=True, timeout=60, check=False)
        self.assertIn(done.returncode, (0, 1), where)
        if done.returncode == 1 and not done.stdout:
            self.assertEqual(done.stderr.count(b"\n"), 1, f"{where} {done.stderr!r}")
            self.assertIn(self.parts[0].name[:9].encode(), done.stderr, where)
        if status == "ready":
            self.assertEqual(done.returncode, 0, f"{where}: served, but inspect says {done.stdout!r} {done.stderr!r}")

    def check_good(self, server, path):
        self.place(path.read_bytes())
        self.assertEqual(self.load(server), ("ready", ""))
        answer = harness.post(server.port, "/v1/completions", ASK)
        self.assertEqual(answer.status, 200, answer.body)
        return answer.json()["choices"][0]["text"]

    def check_serves(self, server, where):
        """What loaded answers: with text, or with a proper error where a template or the weights are beyond use."""
        for path, body in (("/v1/completions", ASK), ("/v1/chat/completions", CHAT)):
            answer = harness.post(server.port, path, body)
            if answer.status != 200:
                self.assertIn(answer.status, (400, 500, 501), f"{where} {path} {answer.body!r}")
                self.assertTrue(answer.json()["error"]["message"], where)

    def test_each_ends_in_ready_or_in_one_sentence(self):
        draw = random.Random(20261124)
        ends = collections.Counter()
        self.place(self.good[0].read_bytes())
        with harness.ready_server(self.parts[0], "-c", "128", "-t", "1") as server:
            texts = [self.check_good(server, path) for path in self.good]
            for number in range(MUTATIONS):
                change = self.write_mutated(draw, number)
                with self.subTest(number, change=change.what):
                    status, message = self.load(server)
                    where = f"mutation {number}, {change.what}: {status} {message}"
                    ends[status] += 1
                    self.check_inspect(status, where)
                    if status == "error":
                        self.check_sentence(message, change, where)
                    else:
                        self.assertFalse(change.refused, where)
                        self.check_serves(server, where)
                self.assertIsNone(server.process.poll(), f"dead after mutation {number}: {change.what}")
                if number % 40 == 39:
                    which = number // 40 % len(self.good)
                    self.assertEqual(self.check_good(server, self.good[which]), texts[which])
            self.assertIsNone(server.process.poll())
        print(f"of {MUTATIONS} mutated files: {dict(ends)}")
        # The mutator must hit both what still loads and what is refused, or it tests nothing.
        self.assertGreater(ends["ready"], 20)
        self.assertGreater(ends["error"], 80)


if __name__ == "__main__":
    harness.main()
