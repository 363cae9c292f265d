#!/usr/bin/python3
"""CPU time of an idle server with a model loaded, as a part of one CPU.

  idle.py --tenfold build/release/tenfold --model M.gguf [--server 'llama-server=llama-server -m M.gguf --port {port} -t 2'] [--seconds 30]

Starts tenfold (and each --server, one after the other), waits until it is ready, lets --users ask it once so that every thread
has worked, waits five seconds, then counts the CPU time of its processes for --seconds without a request. Prints the parts and
the threads that used most; exits 1 when tenfold used --bar or more. Needs only the Python standard library."""
import argparse, os, shlex, sys, time

import servers


def thread_seconds(pid):
    """CPU time so far of every thread of the process tree, by (id, name)."""
    out = {}
    for process in servers.tree(pid):
        try:
            for task in os.listdir(f"/proc/{process}/task"):
                name, fields = open(f"/proc/{process}/task/{task}/stat").read().rsplit(")", 1)
                # Nanoseconds of running; /proc/PID/stat counts whole clock ticks, which a thread that wakes shortly may never fill.
                ran = int(open(f"/proc/{process}/task/{task}/schedstat").read().split()[0])
                out[int(task), name.split("(", 1)[1]] = ran / 1e9
        except OSError:
            continue  # it ended meanwhile
    return out


def idle_share(command, a):
    """The server's part of one CPU, and a line on the threads that used most of it."""
    with servers.Server(command, a.model) as server:
        _, answered, _ = server.ask(a.tenfold, a.users, 8)
        if answered != a.users:
            raise SystemExit(f"only {answered} of {a.users} users were answered")
        time.sleep(5)
        before, begin = thread_seconds(server.process.pid), time.monotonic()
        time.sleep(a.seconds)
        after, wall = thread_seconds(server.process.pid), time.monotonic() - begin
    used = sorted(((seconds - before.get(key, 0), key) for key, seconds in after.items()), reverse=True)
    told = ", ".join(f"{name} {seconds * 1000 / wall:.2f}" for seconds, (_, name) in used[:4])
    return sum(seconds for seconds, _ in used) / wall, f"{wall:.0f} s, {len(after)} threads; ms each second: {told}"


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--tenfold", required=True); p.add_argument("--model", required=True)
    p.add_argument("--server", action="append", default=[]); p.add_argument("--seconds", type=float, default=30)
    p.add_argument("--users", type=int, default=4); p.add_argument("--bar", type=float, default=0.01)
    a = p.parse_args()
    share, told = idle_share(f"{shlex.quote(a.tenfold)} serve -m {shlex.quote(a.model)} --port {{port}}", a)
    print(f"tenfold: {share:.3%} of a CPU ({told}); bar {a.bar:.1%} {'met' if share < a.bar else 'MISSED'}", flush=True)
    for name, command in (s.split("=", 1) for s in a.server):
        other, told = idle_share(command, a)
        print(f"{name}: {other:.3%} of a CPU ({told})", flush=True)
    sys.exit(0 if share < a.bar else 1)


if __name__ == "__main__":
    main()
