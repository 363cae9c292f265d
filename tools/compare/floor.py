#!/usr/bin/python3
"""Prompt and single-stream speed of a running tenfold server against llama-bench, interleaved.

  floor.py URL --peer 'llama-bench -m MODEL.gguf -t 2' [--pairs 5] [--prompt 512] [--generate 32]

Each pair runs both within the same seconds, in alternating order, because a shared machine's speed drifts. tenfold is
measured over HTTP with random token ids through /v1/completions, by the server's own `timings`; llama-bench by its JSON
output. Prints every pair and the medians of the ratios (ours / peer). Needs only the Python standard library."""
import argparse, json, random, shlex, statistics, subprocess, urllib.request


def post(url, body):
    request = urllib.request.Request(url + "/v1/completions", json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=600) as response:
        return json.load(response)


def ours(url, prompt, generate, rng):
    ids = [rng.randrange(1000, 100000) for _ in range(prompt)]
    t = post(url, {"prompt": ids, "max_tokens": 1, "temperature": 0, "ignore_eos": True})["timings"]
    pp = t["prompt_n"] / t["prompt_ms"] * 1000
    t = post(url, {"prompt": ids[:8], "max_tokens": generate + 1, "temperature": 0, "ignore_eos": True})["timings"]
    # predicted_ms runs from the first token to the last: generate intervals for generate + 1 tokens.
    tg = (t["predicted_n"] - 1) / t["predicted_ms"] * 1000
    return pp, tg


def peer(command, prompt, generate):
    out = subprocess.run(shlex.split(command) + ["-p", str(prompt), "-n", str(generate), "-r", "1", "-o", "json"],
                         check=True, capture_output=True, text=True).stdout
    rows = json.loads(out[out.index("["):])
    pp = next(r["avg_ts"] for r in rows if r["n_gen"] == 0)
    tg = next(r["avg_ts"] for r in rows if r["n_prompt"] == 0)
    return pp, tg


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("url"); p.add_argument("--peer", required=True); p.add_argument("--pairs", type=int, default=5)
    p.add_argument("--prompt", type=int, default=512); p.add_argument("--generate", type=int, default=32)
    a = p.parse_args()
    rng = random.Random(1)
    ours(a.url, a.prompt, 4, rng)  # warm-up, not counted
    rows = []
    for i in range(a.pairs):
        if i % 2 == 0:
            o = ours(a.url, a.prompt, a.generate, rng); q = peer(a.peer, a.prompt, a.generate)
        else:
            q = peer(a.peer, a.prompt, a.generate); o = ours(a.url, a.prompt, a.generate, rng)
        rows.append((o, q))
        print(f"pair {i + 1}: prompt {o[0]:.1f} / {q[0]:.1f} tok/s = {o[0] / q[0]:.2f}   "
              f"one stream {o[1]:.2f} / {q[1]:.2f} tok/s = {o[1] / q[1]:.2f}", flush=True)
    print(f"median of {a.pairs}: prompt {a.prompt} ratio {statistics.median(o[0] / q[0] for o, q in rows):.2f} "
          f"({statistics.median(o[0] for o, _ in rows):.1f} tok/s), "
          f"one stream ratio {statistics.median(o[1] / q[1] for o, q in rows):.2f} "
          f"({statistics.median(o[1] for o, _ in rows):.2f} tok/s)")


if __name__ == "__main__":
    main()
