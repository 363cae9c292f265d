#!/usr/bin/python3
"""What one user of a server feels of the others, on a real model, with the bars of a quiet machine.

  neighbours.py gap|turn|wave --model M.gguf --server 'tenfold=build/release/tenfold serve -m M.gguf --port {port}'
                [--server 'llama-server=CMD'] [--rounds 3]

gap   Nine streams run, then a prompt of 2,000 tokens arrives: the longest time between two events of a stream while it
      is computed, against the median before it (bar: 3 times). A second server is measured in turn: the first one's
      longest gap against its (bar: 0.2).
turn  User A sends 40 requests, two seconds later user B sends one: B's time against its time beside a single request of
      A's (bar: 3 times). A server that knows no users serves B last.
wave  Ten users at once with a system prompt of 500 words in common, against the same with ten values of cache_salt: mean
      time to the first token (bar: 0.25 of it), and how many prompt tokens were computed. Each on a server of its own.

CMD starts a server in the foreground; {port} in it is replaced by a free port. Medians of --rounds, each with prompts that
no cache has; raw figures of each round are printed. Exit status 1 where a bar is missed. Needs nothing else running, and
only Python's standard library."""
import argparse, http.client, json, random, statistics, sys, threading, time, urllib.parse

import servers

WORDS = ("river stone lamp tomorrow engine copper seven garden winter paper signal bridge market orange quiet under "
         "between the of and to in that it is was for on are with as they be at one have this from or had by").split()


class Stream:
    """One streamed answer, read by a thread of its own: when its events came, and the usage that it ended with."""

    def __init__(self, url, path, body):
        self.events, self.usage, self.error, self.begin = [], {}, None, time.monotonic()
        self.thread = threading.Thread(target=self.read, args=(urllib.parse.urlsplit(url).netloc, path, body), daemon=True)
        self.thread.start()

    def read(self, host, path, body):
        try:
            connection = http.client.HTTPConnection(host, timeout=900)
            body = {**body, "stream": True, "stream_options": {"include_usage": True}}
            connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
            response = connection.getresponse()
            if response.status != 200:
                raise RuntimeError(f"{response.status} {response.read()[:300]}")
            for line in response:
                if not line.startswith(b"data: {"):
                    continue
                event = json.loads(line[6:])
                self.usage = event.get("usage") or self.usage
                for choice in event.get("choices", []):
                    delta = choice.get("delta", {})
                    if "text" in choice or delta.get("content") or delta.get("reasoning_content"):
                        self.events.append(time.monotonic())
        except (OSError, RuntimeError, http.client.HTTPException) as error:
            self.error = error

    def wait(self):
        """Seconds until its last event."""
        self.thread.join()
        if self.error or not self.events:
            raise SystemExit(f"a stream ended badly: {self.error or 'without a token'}")
        return self.events[-1] - self.begin


def completion(url, draw, prompt_tokens, tokens, **more):
    prompt = [draw.randrange(1000, 2000) for _ in range(prompt_tokens)]
    return Stream(url, "/v1/completions", {"prompt": prompt, "max_tokens": tokens, "temperature": 0, "ignore_eos": True,
                                           "logprobs": 0, **more})


def gap(url, draw):
    """(median ms between two events of a stream before, longest ms during the prompt, seconds that it took)"""
    # A context of 2048 is what llama-server's ten slots are often given: the prompt and what it answers fit in it.
    streams = [completion(url, draw, 40 + i, 900) for i in range(9)]
    while min(len(s.events) for s in streams) < 25:
        if any(s.error for s in streams):
            raise SystemExit(f"a stream ended badly: {next(s.error for s in streams if s.error)}")
        time.sleep(0.02)
    prompt = completion(url, draw, 2000, 2)
    took = prompt.wait()
    begin, end = prompt.begin, prompt.events[-1]
    time.sleep(0.6)  # the events that end the gaps
    pairs = [pair for s in streams for pair in zip(list(s.events), list(s.events)[1:])]
    before = [b - a for a, b in pairs if b <= begin and a >= begin - 6]
    during = [b - a for a, b in pairs if b > begin and a < end]
    if not before or not during:
        raise SystemExit("the streams were over before the prompt was: this model is too fast for this measurement")
    return 1000 * statistics.median(before), 1000 * max(during), took


def turn(url, draw):
    """(B's seconds beside one request of A's, beside forty, how many of the forty were still there)"""
    other = completion(url, draw, 40, 64, user="A")
    time.sleep(1)
    alone = completion(url, draw, 40, 32, user="B").wait()
    other.wait()
    others = [completion(url, draw, 40, 64, user="A") for _ in range(40)]
    time.sleep(2)
    late = completion(url, draw, 40, 32, user="B").wait()
    left = sum(s.thread.is_alive() for s in others)
    for s in others:
        s.wait()
    return alone, late, left


def wave(url, draw, salted):
    """(mean seconds to the first token, prompt tokens in all, those computed)"""
    system = " ".join(draw.choice(WORDS) for _ in range(500))
    streams = []
    for user in range(10):
        messages = [{"role": "system", "content": system},
                    {"role": "user", "content": " ".join(draw.choice(WORDS) for _ in range(16)) + "?"}]
        streams.append(Stream(url, "/v1/chat/completions", {"messages": messages, "max_tokens": 8, "temperature": 0, "ignore_eos": True,
                                                            **({"cache_salt": f"user {user}"} if salted else {})}))
    for s in streams:
        s.wait()
    prompt = sum(s.usage.get("prompt_tokens", 0) for s in streams)
    cached = sum((s.usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0) for s in streams)
    return statistics.mean(s.events[0] - s.begin for s in streams), prompt, prompt - cached


def verdict(what, value, bar):
    print(f"{what}: {value:.2f}, bar {bar}: {'met' if value <= bar else 'MISSED'}", flush=True)
    return value <= bar


def measure_gap(commands, model, rounds):
    longest, good = {}, True
    for name, command in commands:
        rows = []
        for round_ in range(rounds):
            with servers.Server(command, model) as server:
                rows.append(gap(server.url, random.Random(round_)))
            print(f"{name}: before {rows[-1][0]:.0f} ms, longest during the prompt {rows[-1][1]:.0f} ms = {rows[-1][1] / rows[-1][0]:.2f} times; "
                  f"the prompt took {rows[-1][2]:.1f} s", flush=True)
        longest[name] = statistics.median(row[1] for row in rows)
        ratio = statistics.median(row[1] / row[0] for row in rows)
        good = verdict(f"{name}, longest gap against the median before", ratio, 3) and good if name == commands[0][0] else good
    if len(commands) > 1:
        ours, peer = commands[0][0], commands[1][0]
        good = verdict(f"longest gap of {ours} against that of {peer}", longest[ours] / longest[peer], 0.2) and good
    return good


def measure_turn(commands, model, rounds):
    good = True
    for name, command in commands:
        ratios = []
        with servers.Server(command, model) as server:
            for round_ in range(rounds):
                alone, late, left = turn(server.url, random.Random(round_))
                ratios.append(late / alone)
                print(f"{name}: B beside one of A's {alone:.1f} s, beside forty {late:.1f} s = {ratios[-1]:.2f} times; {left} of A's still there", flush=True)
        met = verdict(f"{name}, B beside forty against beside one", statistics.median(ratios), 3)
        good = good and (met or name != commands[0][0])
    return good


def measure_wave(commands, model, rounds):
    name, command = commands[0]
    means = {False: [], True: []}
    for round_ in range(rounds):
        for salted in (False, True):
            with servers.Server(command, model) as server:
                mean, prompt, computed = wave(server.url, random.Random(round_), salted)
            means[salted].append(mean)
            print(f"{name}, {'ten salts' if salted else 'shared'}: mean first token after {mean:.2f} s; {computed} of {prompt} prompt tokens computed", flush=True)
    return verdict(f"{name}, shared against ten salts", statistics.median(s / t for s, t in zip(means[False], means[True])), 0.25)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("what", choices=("gap", "turn", "wave")); p.add_argument("--model", required=True)
    p.add_argument("--server", action="append", required=True); p.add_argument("--rounds", type=int, default=3)
    a = p.parse_args()
    commands = [s.split("=", 1) for s in a.server]
    if a.what == "wave" and len(commands) > 1:
        p.error("wave measures one server: others do not know cache_salt")
    measure = {"gap": measure_gap, "turn": measure_turn, "wave": measure_wave}[a.what]
    return 0 if measure(commands, a.model, a.rounds) else 1


if __name__ == "__main__":
    sys.exit(main())
