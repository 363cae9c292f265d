"""What every end-to-end script needs: the real server on a free port, a small HTTP client, skips with a reason.

A script is a unittest module that ends in `harness.main()`. The binary comes from TENFOLD_BINARY (ctest sets it), test
data from TENFOLD_TEST_DATA, the model generator and the reference forward pass from TENFOLD_TOOLS. What is missing
skips the tests that need it, and the reason goes into TENFOLD_TEST_RESULTS/<script>.skips for tools/ci/check_skips.py.
"""
import contextlib
import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

ISAS = ("scalar", "avx2", "avxvnni", "avx512vnni")


class Answer:
    """Status, headers and body of one HTTP exchange; seconds from connecting to the last byte."""

    def __init__(self, status, headers, body, seconds):
        self.status, self.headers, self.body, self.seconds = status, headers, body, seconds

    def json(self):
        return json.loads(self.body)


def request(port, method, path, body=None, headers=None, timeout=60.0):
    """One request on a fresh connection; `body` is sent as JSON unless it is bytes."""
    started = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        headers = dict(headers or {})
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        content = response.read()
        return Answer(response.status, response.headers, content, time.monotonic() - started)
    finally:
        connection.close()


def get(port, path, **more):
    return request(port, "GET", path, **more)


def post(port, path, body, **more):
    return request(port, "POST", path, body, **more)


@contextlib.contextmanager
def stream(port, path, body, timeout=60.0):
    """Yields (response, iterator over the data of server-sent events); leaving the block hangs up."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("POST", path, json.dumps({**body, "stream": True}).encode(), {"Content-Type": "application/json"})
        response = connection.getresponse()

        def events():
            for raw in response:
                line = raw.decode("utf-8").rstrip("\r\n")
                if line.startswith("data: "):
                    yield line[len("data: "):]
        yield response, events()
    finally:
        connection.close()


def stream_all(port, path, body, timeout=60.0):
    """The chunks of a whole stream as objects; the stream must end in [DONE]."""
    with stream(port, path, body, timeout) as (response, events):
        if response.status != 200:
            raise AssertionError(f"{path} answered {response.status}: {response.read()[:500]}")
        chunks = []
        for data in events:
            if data == "[DONE]":
                return chunks
            chunks.append(json.loads(data))
        raise AssertionError(f"the stream ended without [DONE] after {len(chunks)} chunks: {chunks[-1:]}")


def metric(port, name):
    """Sum over all label sets of one Prometheus metric, 0 when it is not there."""
    total = 0.0
    for line in get(port, "/metrics").body.decode().splitlines():
        if line.startswith((name + " ", name + "{")):
            total += float(line.rsplit(" ", 1)[1])
    return total


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(condition, seconds, what):
    """Polls until condition() is true and returns its value."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.01)


class Server:
    """The server under test. Use as a context manager; stop() asks it to end and returns its exit code."""

    def __init__(self, model=None, *arguments, isa=None, environment=None, port=None):
        self.port = port or free_port()
        command = [binary(), "serve", "--port", str(self.port), *(["-m", str(model)] if model else []), *arguments]
        env = {**os.environ, **(environment or {})}
        if isa:
            env["TENFOLD_ISA"] = isa
        self.log = tempfile.TemporaryFile(mode="w+")
        self.started = time.monotonic()
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env=env)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if kind is not None:
            sys.stderr.write(f"--- log of the server on port {self.port}\n{self.log_text()[-4000:]}\n---\n")
        self.log.close()

    def log_text(self):
        self.log.seek(0)
        return self.log.read()

    def first_answer(self, seconds=20.0):
        """Seconds from spawning the process to the first HTTP answer of /health, and that answer."""
        while True:
            try:
                answer = get(self.port, "/health", timeout=5)
                return time.monotonic() - self.started, answer
            except OSError:
                if self.process.poll() is not None:
                    raise AssertionError(f"the server ended with {self.process.returncode}:\n{self.log_text()}") from None
                if time.monotonic() - self.started > seconds:
                    raise AssertionError(f"no answer within {seconds} s:\n{self.log_text()}") from None
                time.sleep(0.001)

    def health(self):
        return get(self.port, "/health").json()

    def wait_ready(self, seconds=120.0):
        self.first_answer()

        def ready():
            health = self.health()
            if health["status"] == "error":
                raise AssertionError(f"the load failed: {health}")
            return health["status"] == "ready" and health
        return wait_until(ready, seconds, "the model is ready")

    def stop(self, how=signal.SIGTERM, seconds=30.0):
        self.process.send_signal(how)
        return self.process.wait(seconds)


def ready_server(model, *arguments, **more):
    server = Server(model, *arguments, **more)
    try:
        server.wait_ready()
    except BaseException:
        server.__exit__(*sys.exc_info())
        raise
    return server


def in_parallel(functions):
    """Results of the functions, each run in a thread of its own, all started at once; re-raises the first failure."""
    results, failures = [None] * len(functions), []
    barrier = threading.Barrier(len(functions))

    def work(index, function):
        try:
            barrier.wait()
            results[index] = function()
        except BaseException as failure:  # pylint: disable=broad-except
            failures.append(failure)
    threads = [threading.Thread(target=work, args=item) for item in enumerate(functions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return results


def binary():
    path = os.environ.get("TENFOLD_BINARY")
    if not path:
        path = str(pathlib.Path(__file__).resolve().parents[2] / "build/release/tenfold")
    if not os.access(path, os.X_OK):
        raise AssertionError(f"{path} is not there: run make build, or set TENFOLD_BINARY")
    return path


def data(name):
    """A file of the test data, or a skip."""
    folder = os.environ.get("TENFOLD_TEST_DATA")
    if not folder:
        raise unittest.SkipTest("TENFOLD_TEST_DATA does not name a folder with test data")
    path = pathlib.Path(folder) / name
    if not path.exists():
        raise unittest.SkipTest(f"TENFOLD_TEST_DATA has no {name}")
    return path


def tool(name):
    """A script of the tools next to the test data, or a skip."""
    folder = os.environ.get("TENFOLD_TOOLS")
    if not folder:
        raise unittest.SkipTest("TENFOLD_TOOLS does not name a folder with make_gguf.py and ref_forward.py")
    path = pathlib.Path(folder) / name
    if not path.exists():
        raise unittest.SkipTest(f"TENFOLD_TOOLS has no {name}")
    return path


def make_model(folder, preset, *arguments):
    """A GGUF file with random weights; the same arguments give the same file."""
    name = "_".join([preset, *arguments]).replace("--", "").replace("/", "-")
    path = pathlib.Path(folder) / f"{name}.gguf"
    if not path.exists():
        subprocess.run([sys.executable, str(tool("make_gguf.py")), preset, str(path), *arguments], check=True)
    return path


def cpu_isas():
    """The names TENFOLD_ISA takes that this CPU can execute."""
    flags = set()
    for line in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("flags"):
            flags = set(line.split(":")[1].split())
            break
    avx2 = {"avx2", "fma", "f16c", "bmi2"} <= flags
    wide = {"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_vnni"} <= flags
    have = {"scalar": True, "avx2": avx2, "avxvnni": avx2 and "avx_vnni" in flags, "avx512vnni": avx2 and wide}
    return [isa for isa in ISAS if have[isa]]


class SkipWriter(unittest.TextTestResult):
    """Keeps (test, reason) of what was skipped, subtests and whole classes included."""

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        print(f"skipped: {test}: {reason}", file=sys.stderr)


def main():
    """Runs the script's tests; exit code 77, which ctest shows as skipped, when nothing could run."""
    script = pathlib.Path(sys.argv[0]).stem
    program = unittest.main(exit=False, testRunner=unittest.TextTestRunner(verbosity=2, resultclass=SkipWriter))
    result = program.result
    folder = os.environ.get("TENFOLD_TEST_RESULTS")
    if folder:
        lines = [f"{script}.{getattr(test, '_testMethodName', None) or test}\t{' '.join(reason.split())}\n"
                 for test, reason in result.skipped]
        (pathlib.Path(folder) / f"{script}.skips").write_text("".join(lines), encoding="utf-8")
    if not result.wasSuccessful():
        sys.exit(1)
    ran = result.testsRun - len(result.skipped)
    sys.exit(0 if ran > 0 else 77)
