#!/usr/bin/python3
"""A server at a multiple of its capacity, with deadlines: is what it promises kept, and what does promising cost?

  overload.py URL [--seconds 120] [--times 2] [--slack 2.5] [--seed 1]

1. Capacity: twelve users, each asking again at once, without deadlines, for --capacity-seconds (default: as long as 2);
   answers a second and the median answer's time. Over a minute the rate alone varies by a tenth.
2. Overload: for --seconds, requests of the same mixture come at --times that rate, each with the deadline slack * that
   median, and are tried again once, after Retry-After, where they are refused.
Both phases draw from decks that hold each kind of request once, so that their work is the same. Prints raw counts: in time
of admitted, on-time answers a second against 1, time until refused, part of those admitted that came back when told to,
and of each admitted request the prediction (the header x-predicted-ms) against what happened. Needs a tenfold server with
a model, and nothing else running; the prompts are token ids. Only Python's standard library."""
import argparse, http.client, json, random, statistics, sys, threading, time, urllib.parse

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("url")
parser.add_argument("--seconds", type=float, default=120)
parser.add_argument("--capacity-seconds", type=float)
parser.add_argument("--times", type=float, default=2)
parser.add_argument("--slack", type=float, default=2.5)
parser.add_argument("--users", type=int, default=12)
parser.add_argument("--seed", type=int, default=1)


class Mixture:
    """Bodies: short and middling prompts, answers of 8 to 40 tokens, nothing that the prefix cache could have."""

    def __init__(self, seed):
        self.draw, self.deck, self.lock = random.Random(seed), [], threading.Lock()

    def next(self):
        with self.lock:
            if not self.deck:
                self.deck = [(prompt, answer) for prompt in (20, 40, 60, 100, 200) for answer in (8, 16, 24, 40)]
                self.draw.shuffle(self.deck)
            prompt, answer = self.deck.pop()
            return {"prompt": [self.draw.randrange(1000, 2000) for _ in range(prompt)], "max_tokens": answer,
                    "temperature": 0, "ignore_eos": True, "cache_prompt": False}


class Server:
    def __init__(self, url):
        self.host = urllib.parse.urlsplit(url).netloc

    def ask(self, body, timeout=600):
        """(status, seconds, headers, answer)"""
        begin = time.monotonic()
        connection = http.client.HTTPConnection(self.host, timeout=timeout)
        connection.request("POST", "/v1/completions", json.dumps(body), {"Content-Type": "application/json"})
        response = connection.getresponse()
        text = response.read()
        connection.close()
        return response.status, time.monotonic() - begin, response.headers, json.loads(text)


def capacity(server, users, seconds, seed):
    """(answers a second, median seconds of one), of the time when everybody was busy."""
    done, begin, lock, mixture = [], time.monotonic(), threading.Lock(), Mixture(seed)

    def user():
        while time.monotonic() - begin < seconds:
            status, took, _, answer = server.ask(mixture.next())
            if status != 200:
                sys.exit(f"without a deadline: {status} {answer}")
            with lock:
                done.append((time.monotonic() - begin, took))

    threads = [threading.Thread(target=user) for _ in range(users)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    first = min(15, seconds / 4)  # until the users are out of step
    within = [took for end, took in done if first <= end < seconds]
    return len(within) / (seconds - first), statistics.median(within)


def overload(server, rate, seconds, deadline_ms, seed):
    results, retries, lock, mixture = [], [], threading.Lock(), Mixture(seed)

    def visitor(body):
        first = server.ask(body)
        with lock:
            results.append((first, time.monotonic()))
        if first[0] != 503 or "Retry-After" not in first[2]:
            return
        after = int(first[2]["Retry-After"])
        if time.monotonic() + after > begin + seconds:
            return  # the load will be over: no test of a promise
        time.sleep(after)
        again = server.ask(body)
        with lock:
            retries.append((again, time.monotonic()))

    begin = time.monotonic()
    threads, draw, due = [], random.Random(seed), 0.0
    while due < seconds:
        time.sleep(max(0.0, begin + due - time.monotonic()))
        body = mixture.next() | {"deadline_ms": deadline_ms}
        threads.append(threading.Thread(target=visitor, args=(body,)))
        threads[-1].start()
        due += draw.expovariate(rate)
    for thread in threads:
        thread.join()
    return begin, results, retries


def main():
    options = parser.parse_args()
    server = Server(options.url)
    rate, median = capacity(server, options.users, options.capacity_seconds or options.seconds, options.seed)
    deadline_ms = int(1000 * options.slack * median)
    print(f"capacity: {rate:.3f} answers/s, median {median:.1f} s with {options.users} users; deadline {deadline_ms} ms", flush=True)
    begin, first, retries = overload(server, options.times * rate, options.seconds, deadline_ms, options.seed + 1)
    everything = first + retries
    admitted = [r for r, _ in everything if r[0] != 503]
    in_time = [r for r in admitted if r[0] == 200 and r[1] * 1000 <= deadline_ms]
    refused = sorted(r[1] for r, _ in everything if r[0] == 503)
    warm_up = deadline_ms / 2000  # before, the machine was filling
    window = [1 for r, end in everything if r[0] == 200 and warm_up <= end - begin < options.seconds]
    print(f"asked {len(first)} + {len(retries)} again: admitted {len(admitted)}, in time {len(in_time)} "
          f"= {len(in_time) / max(1, len(admitted)):.3f}; statuses {sorted({r[0] for r, _ in everything})}")
    print(f"on-time answers/s {len(window) / (options.seconds - warm_up):.3f} = {len(window) / (options.seconds - warm_up) / rate:.3f} of capacity")
    if refused:
        print(f"refused {len(refused)}: after {1000 * statistics.median(refused):.0f} ms, p99 "
              f"{1000 * refused[min(len(refused) - 1, int(0.99 * len(refused)))]:.0f} ms, at most {1000 * refused[-1]:.0f} ms")
    let_in = [r for r, _ in retries if r[0] != 503]
    print(f"came back when told to {len(retries)}, admitted {len(let_in)} = {len(let_in) / max(1, len(retries)):.3f}")
    # Of a late one that was cut off it is known only that it would have taken longer.
    errors = [(int(r[2]["x-predicted-ms"]) / 1000 - r[1], r[1]) for r in admitted if r[0] == 200 and "x-predicted-ms" in r[2]]
    relative = sorted(abs(error) / took for error, took in errors)
    if relative:
        print(f"predictions of {len(relative)} answers: median absolute error {statistics.median(relative):.3f} of the time "
              f"they took, nine of ten within {relative[int(0.9 * len(relative))]:.2f}; in the median "
              f"{statistics.median(error for error, _ in errors):+.1f} s of {statistics.median(took for _, took in errors):.1f} s")


if __name__ == "__main__":
    main()
