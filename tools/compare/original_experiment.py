#!/usr/bin/python3
"""The experiment this project comes from, rerun: one, five and ten users of 64 tokens each, before and after, judged.

  original_experiment.py --tenfold build/release/tenfold --model M.gguf \\
    --before 'llama-server -m M.gguf --host 127.0.0.1 --port {port} -np 10 -c 10240 --jinja' \\
    --after 'build/release/tenfold serve -m M.gguf --port {port}' --out results/

Starts both servers (CMD in the foreground, {port} becomes a free one) on the same file, one after the other, and says how
long each took until it was ready. Both then stand idle in memory but for the one that is asked. `tenfold bench load
--vs` asks the first request of each (the cold start, which the time until ready belongs to), one warm-up, and then
--rounds times all numbers of users in turns, so that what disturbs the machine meets both. Afterwards `tenfold report`
(Markdown and HTML) and `tenfold gate` for each. A user who waits for --timeout seconds has failed, as in the original.
Ends with the commands to repeat each step by hand. On two cores and a model of 4 billion parameters a round takes some
three minutes. Exit code 0 when all of it ran, whatever the verdicts. Needs only the Python standard library."""
import argparse, pathlib, shlex, subprocess, time

from servers import Server

VERDICTS = {0: "PASS", 1: "CONDITIONAL PASS", 2: "MIGRATE", 3: "NO EVIDENCE"}


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--tenfold", required=True, help="the program that asks, reports and judges")
    p.add_argument("--model", required=True)
    p.add_argument("--before", required=True, metavar="CMD")
    p.add_argument("--after", required=True, metavar="CMD")
    p.add_argument("--out", required=True, type=pathlib.Path, help="folder for r.jsonl, report.md, report.html")
    p.add_argument("--users", default="1,5,10")
    p.add_argument("--tokens", type=int, default=64)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--timeout", type=float, default=60)
    p.add_argument("--rules", help="for report and gate (docs/gate.md)")
    return p.parse_args()


def run(command, codes, shown):
    """Runs one step, keeps it for the list at the end; a code that is none of the expected ends everything."""
    shown.append(shlex.join(command))
    print(f"$ {shown[-1]}", flush=True)
    code = subprocess.run(command, check=False).returncode
    if code not in codes:
        raise SystemExit(f"it ended with {code}")
    return code


def main():
    a = arguments()
    a.out.mkdir(parents=True, exist_ok=True)
    results, markdown, html = (str(a.out / name) for name in ("r.jsonl", "report.md", "report.html"))
    rules = ["--rules", a.rules] if a.rules else []
    begin, steps = time.monotonic(), []
    run([a.tenfold, "doctor", "-m", a.model, "--users", a.users.split(",")[-1], "--port", "0"], (0, 1, 2), [])
    with Server(a.before, a.model) as before, Server(a.after, a.model) as after:
        for name, server in (("before", before), ("after", after)):
            print(f"{name}: first HTTP answer after {server.first_answer_s:.2f} s, ready after {server.ready_s:.2f} s", flush=True)
        # 1: somebody was not answered, which is a result.
        run([a.tenfold, "bench", "load", before.url, "--vs", after.url, "--users", a.users, "--tokens", str(a.tokens), "--rounds",
             str(a.rounds), "--timeout", f"{a.timeout:g}", "--ignore-eos", "--output", results], (0, 1), steps)
    run([a.tenfold, "report", results, "--markdown", markdown, "--html", html, *rules], (0,), steps)
    for number, name in ((1, "before"), (2, "after")):
        code = run([a.tenfold, "gate", results, "--server", str(number), *rules], tuple(VERDICTS), steps)
        print(f"{name}: {VERDICTS[code]}\n", flush=True)
    print(f"took {time.monotonic() - begin:.0f} s; pictures: {html}\nTo repeat it by hand, with both servers running:")
    for command in (a.before, a.after):
        print(f"  {command}")
    for step in steps:
        print(f"  {step}")


if __name__ == "__main__":
    main()
