#!/usr/bin/python3
"""Servers side by side on one model: first HTTP answer, ready, peak memory, one stream, N streams, interleaved.

  servers.py --tenfold build/release/tenfold --model M.gguf --server 'tenfold=CMD' --server 'llama-server=CMD' [--rounds 3] [--users 10] [--tokens 64]

CMD starts a server in the foreground; {port} in it is replaced by a free port. Each round starts every server in turn,
waits until it is ready, runs `tenfold bench load` with one user and with N users, reads the process tree's VmHWM, and
stops it. Prints one row per server and round and the medians. The file should be in the page cache (it is read once
first). Needs only the Python standard library."""
import argparse, json, os, re, shlex, signal, socket, statistics, subprocess, time, urllib.error, urllib.request


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def probe(url):
    """HTTP status of /health, or 0 when nothing answers."""
    try:
        return urllib.request.urlopen(url + "/health", timeout=10).status
    except urllib.error.HTTPError as e:
        return e.code
    except OSError:
        return 0


def tree(pid):
    pids, todo = [], [pid]
    while todo:
        p = todo.pop()
        pids.append(p)
        try:
            for task in os.listdir(f"/proc/{p}/task"):
                todo += [int(c) for c in open(f"/proc/{p}/task/{task}/children").read().split()]
        except OSError:
            pass
    return pids


def peak_bytes(pid):
    best = 0
    for p in tree(pid):
        try:
            status = open(f"/proc/{p}/status").read()
        except OSError:
            continue
        m = re.search(r"VmHWM:\s+(\d+) kB", status)
        best = max(best, int(m.group(1)) * 1024 if m else 0)
    return best


def measure(command, bench, users, tokens):
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    begin = time.monotonic()
    process = subprocess.Popen(shlex.split(command.replace("{port}", str(port))), stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        first = ready = None
        while ready is None and time.monotonic() - begin < 300:
            status = probe(url)
            now = time.monotonic() - begin
            if status and first is None:
                first = now
            if status == 200:
                ready = now
            time.sleep(0.002)
        row = {"first_answer_s": first, "ready_s": ready}
        for n in (1, users):
            out = subprocess.run([bench, "bench", "load", url, "--users", str(n), "--tokens", str(tokens), "--timeout", "600",
                                  "--ignore-eos"], capture_output=True, text=True).stdout
            row[f"mean_{n}_s"] = float(re.search(r"^response, s +([\d.]+)", out, re.M).group(1))
            row[f"ok_{n}"] = int(re.search(r"^answered +(\d+) of", out, re.M).group(1))
            row[f"tok_s_{n}"] = float(re.search(r"^tokens/s of all users +([\d.]+)", out, re.M).group(1))
        row["peak_gib"] = peak_bytes(process.pid) / 2**30
        return row
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--tenfold", required=True); p.add_argument("--model", required=True)
    p.add_argument("--server", action="append", required=True); p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--users", type=int, default=10); p.add_argument("--tokens", type=int, default=64)
    a = p.parse_args()
    subprocess.run(["cat", a.model], stdout=subprocess.DEVNULL, check=True)
    print(f"file {os.path.getsize(a.model) / 2**30:.2f} GiB")
    servers = [s.split("=", 1) for s in a.server]
    rows = {name: [] for name, _ in servers}
    for r in range(a.rounds):
        for name, command in servers if r % 2 == 0 else reversed(servers):
            row = measure(command, a.tenfold, a.users, a.tokens)
            rows[name].append(row)
            print(name, json.dumps({k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()}), flush=True)
    for name in rows:
        print("median", name, json.dumps({k: round(statistics.median(r[k] for r in rows[name]), 3) for k in rows[name][0]}))


if __name__ == "__main__":
    main()
