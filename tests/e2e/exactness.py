#!/usr/bin/env python3
"""How far the served log-probabilities are from an exact float64 forward pass, on tiny models with random weights.

Measure:  mean |difference of log-probability| over the reference's ten most likely next tokens and over all prompts of
one weight format. Random weights give flat distributions, so nothing hides in a token of probability one.
Bars:     what llama.cpp (build 11669) scores on files made the same way. The exact path may be no worse; the default
path, whose panel kernels round activations once more for prompts of 16 tokens and up, may reach 1.25 times that.

usage, to look at another server (llama-server's /v1/completions with its own model file works):
  exactness.py --port 8080 --model tiny.gguf [--prompts 1,2,7,16,17,33,100,300] [--seed 1]
exactness_test.py runs the whole table.  Needs TENFOLD_TOOLS and NumPy.
"""
import argparse
import importlib.util
import random

import harness

LENGTHS = (1, 2, 7, 16, 17, 33, 100, 300)
TOP = 10
ASKED = 50  # alternatives asked of the server; the reference's ten must be among them
# Measured with llama.cpp; f32 has no row of its own and is held to f16's.
BARS = {
    ("tiny-qwen3", "q4_k_m"): 0.0093, ("tiny-qwen3", "q5_k"): 0.0101, ("tiny-qwen3", "q6_k"): 0.0092,
    ("tiny-qwen3", "q8_0"): 0.0052, ("tiny-qwen3", "q4_0"): 0.0048, ("tiny-qwen3", "bf16"): 0.0014,
    ("tiny-qwen3", "f16"): 0.0003, ("tiny-qwen3", "f32"): 0.0003, ("tiny-llama", "q4_k_m"): 0.029,
    ("tiny-qwen2", "q4_k_m"): 0.031,
}
PANEL_ALLOWANCE = 1.25


class NoLogprobs(Exception):
    """llama-server gives none for a last token whose character is incomplete. Ours always must."""


def random_prompts(seed, vocabulary, lengths=LENGTHS):
    """One prompt of random ordinary tokens for each length; the same seed gives the same prompts."""
    draw = random.Random(seed)
    return [[draw.randrange(vocabulary) for _ in range(length)] for length in lengths]


class Reference:
    """The exact forward pass of one file, in this process: the weights are dequantised once."""

    def __init__(self, path):
        spec = importlib.util.spec_from_file_location("ref_forward", harness.tool("ref_forward.py"))
        self.module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.module)
        self.model = self.module.Model(str(path))
        self.ordinary_tokens = self.model.meta[f"{self.model.arch}.vocab_size"] - 3
        self.known = {}

    def top(self, prompt):
        """[[id, log-probability]] of the ten most likely next tokens."""
        key = tuple(prompt)
        if key not in self.known:
            logits = self.model.forward(list(prompt))
            self.known[key] = self.module.top(self.module.logprobs(logits)[-1], TOP)
        return self.known[key]


def served_top(port, prompt):
    """{id: log-probability} of the server's most likely next tokens after a prompt of token ids."""
    body = {"prompt": list(prompt), "max_tokens": 1, "temperature": 0, "logprobs": ASKED}
    answer = harness.post(port, "/v1/completions", body)
    if answer.status != 200:
        raise AssertionError(f"/v1/completions answered {answer.status}: {answer.body[:300]}")
    logprobs = answer.json()["choices"][0]["logprobs"]
    if logprobs is None:
        raise NoLogprobs
    entry = logprobs["content"][0]
    return {alternative["id"]: alternative["logprob"] for alternative in entry["top_logprobs"]}


def differences(port, reference, prompts):
    """|difference| for each of the reference's ten tokens of each prompt, and the tokens the server did not return."""
    found, missing = [], []
    for prompt in prompts:
        served = served_top(port, prompt)
        for token, logprob in reference.top(prompt):
            if token in served:
                found.append(abs(served[token] - logprob))
            else:
                missing.append((len(prompt), token))
    return found, missing


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--model", required=True, help="the file the server has loaded")
    parser.add_argument("--prompts", default=",".join(map(str, LENGTHS)), help="lengths in tokens")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    reference = Reference(args.model)
    lengths = [int(length) for length in args.prompts.split(",")]
    everything = []
    for prompt in random_prompts(args.seed, reference.ordinary_tokens, lengths):
        try:
            found, missing = differences(args.port, reference, [prompt])
        except NoLogprobs:
            print(f"{len(prompt):5} tokens: no log-probabilities in the answer")
            continue
        everything += found
        print(f"{len(prompt):5} tokens: mean {sum(found) / max(1, len(found)):.5f}  worst {max(found, default=0):.5f}"
              f"  missing {len(missing)}")
    print(f"all: mean {sum(everything) / len(everything):.5f}  worst {max(everything):.5f}")


if __name__ == "__main__":
    main()
