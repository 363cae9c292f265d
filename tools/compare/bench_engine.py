#!/usr/bin/python3
"""`tenfold bench engine` against llama-bench, and the two servers against each other: pairs in alternating order.

  bench_engine.py --tenfold build/release/tenfold --model M.gguf --peer-bench 'llama-bench -m M.gguf -t 2' \\
                  [--peer-server 'llama-server -m M.gguf --port {port} -t 2 -np 10 -c 10240'] [--pairs 5] [--raw out.jsonl]

--peer-bench and --peer-server may come from TENFOLD_PEER_BENCH and TENFOLD_PEER_SERVER instead. Without a server only what
needs none is measured. A pair runs both programs within the same minute, tenfold first in even pairs and second in odd
ones, because a shared machine's speed drifts: ratios of a pair travel, seconds do not. Each program loads the model anew
for every group of measures. Prints each pair, then a table of medians with bar, aim and verdict; exits 1 when a bar is
missed or fewer pairs than asked for could be counted. On a busy machine the ratios flatter tenfold: llama.cpp gives each
thread a fixed part and waits, spinning, for the slowest. So other processes' share of the CPUs is measured during every
run of either program; a pair in which it was above --max-others in any of them is printed, not counted, and tried again.
Needs only the Python standard library."""
import argparse, json, os, resource, shlex, statistics, subprocess, sys, tempfile, time

import servers

SHORT = (8, 10, 16)
# name -> (bar, aim, what "better" is): ratios and parts are at least, times at most. None: no such figure.
TABLE = {
    "prefill 512 / pp512": (3.0, 4.0, ">="),
    "prompt 8 / pp8": (2.5, 4.0, ">="),
    "prompt 10 / pp10": (3.0, 4.0, ">="),
    "prompt 16 / pp16": (3.0, 4.0, ">="),
    "one stream / tg32": (1.2, None, ">="),
    "one stream, part of bandwidth": (None, 0.90, ">="),
    "prefill 512, part of the integer peak": (0.65, 0.80, ">="),
    "10 users over HTTP, mean response / llama-server": (0.30, 0.20, "<="),
    "ready after start / llama-server": (0.5, 0.2, "<="),
    "AVX2 prefill 512, part of the maddubs peak": (0.60, None, ">="),
    "4k context over 0, measured / by its bytes": (1.15, None, "<="),
}


def ours(a, *arguments):
    """The JSON lines of one `tenfold bench engine`."""
    with tempfile.NamedTemporaryFile(suffix=".jsonl") as out:
        subprocess.run([a.tenfold, "bench", "engine", "-m", a.model, "--json", out.name, *arguments], check=True,
                       stdout=subprocess.DEVNULL)
        return [json.loads(line) for line in open(out.name)]


def case(rows, name):
    return next(r for r in rows if r["kind"] == "case" and r["case"] == name)


def peer(a, *arguments):
    """Median tokens/s of each test of one llama-bench, by (prompt, generated)."""
    out = subprocess.run(shlex.split(a.peer_bench) + [*arguments, "-o", "json"], check=True, capture_output=True, text=True).stdout
    return {(r["n_prompt"], r["n_gen"]): statistics.median(r["samples_ts"]) for r in json.loads(out[out.index("["):])}


def cpu_seconds():
    """CPU time so far of everybody on this machine, and of our finished children and ourselves."""
    ticks = [int(n) for n in open("/proc/stat").readline().split()[1:9]]
    used = sum(ticks) - ticks[3] - ticks[4]  # without idle and waiting for disks
    own = sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return used / os.sysconf("SC_CLK_TCK"), own


class Others:
    """The largest share of all CPUs that other processes had during any of the runs."""

    def __init__(self):
        self.share = 0.0

    def watch(self, run):
        (used, own), begin = cpu_seconds(), time.monotonic()
        result = run()
        (used2, own2), wall = cpu_seconds(), time.monotonic() - begin
        self.share = max(self.share, (used2 - used - (own2 - own)) / wall / os.cpu_count())
        return result


def in_turns(i, others, first, second):
    """Results of (first, second), run in that order when i is even."""
    if i % 2 == 0:
        a = others.watch(first); b = others.watch(second)
    else:
        b = others.watch(second); a = others.watch(first)
    return a, b


def engine_pair(a, i, others):
    """The figures of one pair, by name in TABLE."""
    long_ours, long_peer = in_turns(
        i, others, lambda: ours(a, "--prefill", "512", "--decode", "1", "--context", "0,4096", "--decode-steps", "32", "--rounds", "1"),
        lambda: peer(a, "-p", "512", "-n", "32", "-r", "1"))
    short_ours, short_peer = in_turns(
        i, others, lambda: ours(a, "--prefill", ",".join(map(str, SHORT)), "--decode", "0", "--rounds", "5"),
        lambda: peer(a, "-p", ",".join(map(str, SHORT)), "-n", "0", "-r", "5"))
    pp, tg, far = case(long_ours, "prefill 512"), case(long_ours, "decode 1 at 0"), case(long_ours, "decode 1 at 4096")
    row = {"prefill 512 / pp512": pp["tokens_per_s"] / long_peer[512, 0],
           "one stream / tg32": tg["tokens_per_s"] / long_peer[0, 32],
           "one stream, part of bandwidth": tg["of_bandwidth"],
           "prefill 512, part of the integer peak": pp["of_integer_peak"],
           "4k context over 0, measured / by its bytes": far["median_s"] / tg["median_s"] / (far["bytes"] / tg["bytes"])}
    raw = {"prefill 512": (pp["tokens_per_s"], long_peer[512, 0]), "one stream": (tg["tokens_per_s"], long_peer[0, 32])}
    for n in SHORT:
        mine = case(short_ours, f"prefill {n}")
        row[f"prompt {n} / pp{n}"] = mine["tokens_per_s"] / short_peer[n, 0]
        raw[f"prompt {n}"] = (mine["tokens_per_s"], short_peer[n, 0])
    if "avx2" in long_ours[0]["isas"]:
        wide = others.watch(lambda: ours(a, "--prefill", "512", "--decode", "0", "--rounds", "1", "--isa", "avx2"))
        row["AVX2 prefill 512, part of the maddubs peak"] = case(wide, "prefill 512")["of_integer_peak"]
    return row, raw


def server_pair(a, i, others):
    mine = f"{shlex.quote(a.tenfold)} serve -m {shlex.quote(a.model)} --port {{port}}"
    o, q = in_turns(i, others, lambda: servers.measure(mine, a.model, a.tenfold, [10], 64),
                    lambda: servers.measure(a.peer_server, a.model, a.tenfold, [10], 64))
    if o["ok_10"] != 10 or q["ok_10"] != 10:
        print(f"  answered: tenfold {o['ok_10']:.0f} of 10, llama-server {q['ok_10']:.0f} of 10 (a failed user counts with the timeout)")
    row = {"10 users over HTTP, mean response / llama-server": o["mean_10_s"] / q["mean_10_s"],
           "ready after start / llama-server": o["ready_s"] / q["ready_s"]}
    return row, {"10 users, s": (o["mean_10_s"], q["mean_10_s"]), "ready, s": (o["ready_s"], q["ready_s"])}


def verdict(name, value):
    bar, aim, better = TABLE[name]
    reached = lambda goal: goal is not None and (value >= goal if better == ">=" else value <= goal)
    if reached(aim):
        return "aim reached"
    if bar is None:
        return "aim missed"
    return "bar met" if reached(bar) else "BAR MISSED"


def table(rows):
    """Prints the medians; returns whether every bar is met."""
    print(f"\n{'measure':<50}{'bar':>8}{'aim':>8}{'median':>9}{'min':>8}{'max':>8}  verdict")
    good = True
    for name, (bar, aim, better) in TABLE.items():
        values = [r[name] for r in rows if name in r]
        if not values:
            print(f"{name:<50}{'':>41}  not measured")
            continue
        median = statistics.median(values)
        told = verdict(name, median)
        good = good and told != "BAR MISSED"
        show = lambda goal: "" if goal is None else f"{better}{goal:g}"
        print(f"{name:<50}{show(bar):>8}{show(aim):>8}{median:>9.2f}{min(values):>8.2f}{max(values):>8.2f}  {told}")
    return good


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--tenfold", required=True); p.add_argument("--model", required=True)
    p.add_argument("--peer-bench", default=os.environ.get("TENFOLD_PEER_BENCH"))
    p.add_argument("--peer-server", default=os.environ.get("TENFOLD_PEER_SERVER"))
    p.add_argument("--pairs", type=int, default=5); p.add_argument("--raw", help="file for every pair's figures as JSON lines")
    p.add_argument("--max-others", type=float, default=0.10, help="share of the CPUs that others may have in a pair that counts")
    p.add_argument("--server-only", action="store_true", help="leave out what needs no server")
    a = p.parse_args()
    if a.server_only and not a.peer_server:
        p.error("which llama-server? --peer-server or TENFOLD_PEER_SERVER")
    if not a.peer_bench and not a.server_only:
        p.error("which llama-bench? --peer-bench or TENFOLD_PEER_BENCH")
    subprocess.run(["cat", a.model], stdout=subprocess.DEVNULL, check=True)  # into the page cache
    rows, tried = [], 0
    while len(rows) < a.pairs and tried < 3 * a.pairs:
        others = Others()
        row, raw = ({}, {}) if a.server_only else engine_pair(a, tried, others)
        if a.peer_server:
            more, more_raw = server_pair(a, tried, others)
            row.update(more); raw.update(more_raw)
        tried += 1
        counted = others.share <= a.max_others
        if counted:
            rows.append(row)
        told = ", ".join(f"{name} {o:.4g} / {q:.4g} = {o / q:.2f}" for name, (o, q) in raw.items())
        print(f"pair {tried}: {told}; others had up to {others.share:.0%} of the CPUs{'' if counted else ': NOT COUNTED'}", flush=True)
        if a.raw:
            with open(a.raw, "a") as out:
                out.write(json.dumps({"pair": tried, "counted": counted, "others": others.share, "figures": row, "ours_peer": raw}) + "\n")
    print(f"\n{len(rows)} pairs counted of {tried}")
    good = table(rows)
    sys.exit(0 if good and len(rows) == a.pairs else 1)


if __name__ == "__main__":
    main()
