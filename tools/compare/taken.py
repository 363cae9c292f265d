#!/usr/bin/python3
"""Speed with a CPU taken by another busy process, as a part of undisturbed speed.

  taken.py --tenfold build/release/tenfold --model M.gguf [--peer-bench 'llama-bench -m M.gguf -t 2'] [--pairs 3] [--taken 1]

The other process is as many endless loops as --taken says, each bound to one CPU (the highest numbered) at normal priority:
tenfold's threads are as many as ever, and one of them gets half of a CPU. A pair runs `tenfold bench engine` without and with
them within the same minute, undisturbed first in even pairs. With --peer-bench llama-bench is measured in the same way, for
comparison: it gives each thread a fixed part of the work and waits, spinning, for the slowest. Prints each pair and the
medians; exits 1 when tenfold's speed falls below --bar. Needs only the Python standard library."""
import argparse, os, statistics, subprocess, sys, time

import bench_engine

CASES = {"prefill 128": (128, 0), "decode 1 at 0": (0, 32), "decode 10 at 0": None}  # to llama-bench's (prompt, generated)


class Busy:
    """Keeps CPUs busy while it lives."""

    def __init__(self, cpus):
        self.cpus = cpus

    def __enter__(self):
        self.loops = []
        for cpu in self.cpus:
            loop = subprocess.Popen([sys.executable, "-c", "while True: pass"], start_new_session=True)
            self.loops.append(loop)
            os.sched_setaffinity(loop.pid, {cpu})
        time.sleep(0.2)

    def __exit__(self, *_):
        for loop in self.loops:
            loop.kill()
            loop.wait()


def speeds(a):
    """Tokens/s by case."""
    rows = bench_engine.ours(a, "--prefill", "128", "--decode", "1,10", "--context", "0", "--decode-steps", "16", "--rounds", "1")
    out = {name: bench_engine.case(rows, name)["tokens_per_s"] for name in CASES}
    if a.peer_bench:
        theirs = bench_engine.peer(a, "-p", "128", "-n", "32", "-r", "1")
        out.update({f"llama-bench, {name}": theirs[key] for name, key in CASES.items() if key})
    return out


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--tenfold", required=True); p.add_argument("--model", required=True)
    p.add_argument("--peer-bench", default=os.environ.get("TENFOLD_PEER_BENCH")); p.add_argument("--pairs", type=int, default=3)
    p.add_argument("--taken", type=int, default=1, help="CPUs that the other process keeps busy")
    p.add_argument("--bar", type=float, default=0.45)
    a = p.parse_args()
    cpus = sorted(os.sched_getaffinity(0))
    if not 1 <= a.taken <= len(cpus):
        p.error(f"--taken: 1 to {len(cpus)}, the CPUs this process may use")
    subprocess.run(["cat", a.model], stdout=subprocess.DEVNULL, check=True)  # into the page cache
    rows = []
    for i in range(a.pairs):
        def disturbed():
            with Busy(cpus[-a.taken:]):
                return speeds(a)
        alone, taken = bench_engine.in_turns(i, bench_engine.Others(), lambda: speeds(a), disturbed)
        rows.append({name: taken[name] / alone[name] for name in alone})
        print(f"pair {i + 1}: " + ", ".join(f"{name} {taken[name]:.4g} / {alone[name]:.4g} tok/s = {part:.0%}"
                                           for name, part in rows[-1].items()), flush=True)
    medians = {name: statistics.median(r[name] for r in rows) for name in rows[0]}
    for name, part in medians.items():
        verdict = "" if name.startswith("llama-bench") else f"  bar {a.bar:.0%} {'met' if part >= a.bar else 'MISSED'}"
        print(f"median {name:<28}{part:>6.0%}{verdict}")
    sys.exit(0 if all(part >= a.bar for name, part in medians.items() if not name.startswith("llama-bench")) else 1)


if __name__ == "__main__":
    main()
