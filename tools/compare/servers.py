#!/usr/bin/python3
"""Servers side by side on one model: first HTTP answer, ready, peak memory, one stream, N streams, interleaved.

  servers.py --tenfold build/release/tenfold --model M.gguf --server 'tenfold=CMD' --server 'llama-server=CMD' [--rounds 3] [--users 10] [--tokens 64]

CMD starts a server in the foreground; {port} in it is replaced by a free port. Each round starts every server in turn,
waits until it is ready, runs `tenfold bench load` with one user and with N users, reads the process tree's VmHWM, and
stops it, so that no two share the machine. Prints one row per server and round and the medians. The file is read into
the page cache before every start. Needs only the Python standard library."""
import argparse, json, os, re, shlex, signal, socket, statistics, subprocess, tempfile, time, urllib.error, urllib.request


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


class Server:
    """A server started by `command` ({port} in it becomes a free port), ready; with it goes all that it started."""

    def __init__(self, command, model):
        subprocess.run(["cat", model], stdout=subprocess.DEVNULL, check=True)  # a server may have given its pages back
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.log = tempfile.TemporaryFile()
        begin = time.monotonic()
        self.process = subprocess.Popen(shlex.split(command.replace("{port}", str(port))), stdout=self.log, stderr=self.log,
                                        start_new_session=True)
        self.first_answer_s = self.ready_s = None
        try:
            while self.ready_s is None:
                status = probe(self.url)
                now = time.monotonic() - begin
                if status and self.first_answer_s is None:
                    self.first_answer_s = now
                if status == 200:
                    self.ready_s = now
                elif self.process.poll() is not None or now > 300:
                    self.log.seek(0)
                    end = self.log.read()[-2000:].decode(errors="replace")
                    what = "ended" if self.process.returncode is not None else "is not ready after 300 s"
                    raise SystemExit(f"`{command}` {what}; its last words:\n{end}")
                else:
                    time.sleep(0.002)
        except BaseException:
            self.stop()
            raise

    def ask(self, bench, users, tokens):
        """One `tenfold bench load`: mean response in seconds, how many were answered, tokens/s of all."""
        out = subprocess.run([bench, "bench", "load", self.url, "--users", str(users), "--tokens", str(tokens), "--timeout", "600",
                              "--ignore-eos", "--no-cold", "--warmup", "0"], capture_output=True, text=True)
        figure = lambda pattern: re.search(pattern, out.stdout, re.M)
        found = [figure(r"^response, s +([\d.]+)"), figure(r"^answered +(\d+) of"), figure(r"^tokens/s of all users +([\d.]+)")]
        if None in found:
            raise SystemExit(f"`tenfold bench load` told nothing:\n{out.stdout}{out.stderr}")
        return float(found[0][1]), int(found[1][1]), float(found[2][1])

    def stop(self):
        """Returns when its processes are gone, so that the next server has the machine."""
        for how in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, how)
            except ProcessLookupError:
                break
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                continue
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def measure(command, model, bench, users, tokens):
    """The figures of one start, by name; users: how many ask at once, one measurement each."""
    with Server(command, model) as server:
        row = {"first_answer_s": server.first_answer_s, "ready_s": server.ready_s}
        for n in users:
            row[f"mean_{n}_s"], row[f"ok_{n}"], row[f"tok_s_{n}"] = server.ask(bench, n, tokens)
        row["peak_gib"] = peak_bytes(server.process.pid) / 2**30
        return row


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--tenfold", required=True); p.add_argument("--model", required=True)
    p.add_argument("--server", action="append", required=True); p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--users", type=int, default=10); p.add_argument("--tokens", type=int, default=64)
    a = p.parse_args()
    print(f"file {os.path.getsize(a.model) / 2**30:.2f} GiB")
    servers = [s.split("=", 1) for s in a.server]
    rows = {name: [] for name, _ in servers}
    for r in range(a.rounds):
        for name, command in servers if r % 2 == 0 else reversed(servers):
            row = measure(command, a.model, a.tenfold, (1, a.users), a.tokens)
            rows[name].append(row)
            print(name, json.dumps({k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()}), flush=True)
    for name in rows:
        print("median", name, json.dumps({k: round(statistics.median(r[k] for r in rows[name]), 3) for k in rows[name][0]}))


if __name__ == "__main__":
    main()
