#!/usr/bin/python3
"""A server at a multiple of its capacity, with deadlines: is what it promises kept, and what does promising cost?

  overload.py URL [--seconds 120] [--times 2] [--slack 2.5] [--seed 1]

1. Capacity: twelve users, each asking again at once, without deadlines; answers a second and the median answer's time.
2. Overload: for --seconds, requests of the same mixture come at --times that rate, each with the deadline slack * that
   median, and are tried again once, after Retry-After, where they are refused.
Prints raw counts: in time of admitted, on-time answers a second against 1, time until refused, part of those admitted
that came back when told to, and predictions against what happened, from the histogram of /metrics and in refusals. Needs
a tenfold server with a model, and nothing else running; the prompts are token ids. Only Python's standard library."""
import argparse, http.client, json, random, statistics, sys, threading, time, urllib.parse

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("url")
parser.add_argument("--seconds", type=float, default=120)
parser.add_argument("--times", type=float, default=2)
parser.add_argument("--slack", type=float, default=2.5)
parser.add_argument("--users", type=int, default=12)
parser.add_argument("--seed", type=int, default=1)


def mixture(draw):
    """A body: short and middling prompts, answers of 8 to 40 tokens, nothing that the prefix cache could have."""
    prompt = [draw.randrange(1000, 2000) for _ in range(draw.choice((20, 40, 60, 100, 200)))]
    return {"prompt": prompt, "max_tokens": draw.choice((8, 16, 24, 40)), "temperature": 0, "ignore_eos": True,
            "cache_prompt": False}


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

    def metrics(self):
        connection = http.client.HTTPConnection(self.host, timeout=60)
        connection.request("GET", "/metrics")
        return connection.getresponse().read().decode()


def errors(text):
    """The histogram of actual less predicted seconds: {upper bound: how many, cumulated}."""
    buckets = {}
    for line in text.splitlines():
        if line.startswith("tenfold_predicted_vs_actual_seconds_bucket"):
            bound = line.split('le="')[1].split('"')[0]
            buckets[float(bound.replace("+Inf", "inf"))] = float(line.rsplit(" ", 1)[1])
    return buckets


def capacity(server, users, seconds, seed):
    """(answers a second, median seconds of one), of the time when everybody was busy."""
    done, begin, lock = [], time.monotonic(), threading.Lock()

    def user(number):
        draw = random.Random(seed * 1000 + number)
        while time.monotonic() - begin < seconds:
            status, took, _, answer = server.ask(mixture(draw))
            if status != 200:
                sys.exit(f"without a deadline: {status} {answer}")
            with lock:
                done.append((time.monotonic() - begin, took))

    threads = [threading.Thread(target=user, args=(i,)) for i in range(users)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    first = seconds / 4  # until the users are out of step
    within = [took for end, took in done if first <= end < seconds]
    return len(within) / (seconds - first), statistics.median(within)


def overload(server, rate, seconds, deadline_ms, seed):
    results, retries, lock = [], [], threading.Lock()

    def visitor(number):
        body = mixture(random.Random(seed * 100000 + number)) | {"deadline_ms": deadline_ms}
        first = server.ask(body)
        with lock:
            results.append((first, time.monotonic()))
        if first[0] != 503 or "Retry-After" not in first[2]:
            return
        time.sleep(int(first[2]["Retry-After"]))
        if time.monotonic() - begin > seconds:
            return  # the load is over: no test of a promise
        again = server.ask(body)
        with lock:
            retries.append((again, time.monotonic()))

    begin = time.monotonic()
    threads, draw, due, number = [], random.Random(seed), 0.0, 0
    while due < seconds:
        time.sleep(max(0.0, begin + due - time.monotonic()))
        threads.append(threading.Thread(target=visitor, args=(number,)))
        threads[-1].start()
        number, due = number + 1, due + draw.expovariate(rate)
    for thread in threads:
        thread.join()
    return begin, results, retries


def main():
    options = parser.parse_args()
    server = Server(options.url)
    rate, median = capacity(server, options.users, options.seconds / 2, options.seed)
    deadline_ms = int(1000 * options.slack * median)
    print(f"capacity: {rate:.3f} answers/s, median {median:.1f} s with {options.users} users; deadline {deadline_ms} ms", flush=True)
    before = errors(server.metrics())
    begin, first, retries = overload(server, options.times * rate, options.seconds, deadline_ms, options.seed + 1)
    after = errors(server.metrics())
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
    counts, last = [], 0.0
    for bound in sorted(after):
        now = after[bound] - before.get(bound, 0.0)
        if now > last:
            counts.append(f"<= {bound:g}: {now - last:g}")
        last = now
    print(f"actual less predicted, s: {', '.join(counts)}; answers took a median of "
          f"{statistics.median(r[1] for r in in_time) if in_time else 0:.1f} s")


if __name__ == "__main__":
    main()
