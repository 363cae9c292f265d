#!/usr/bin/env python3
"""What an operator sets, as an operator would: wrong command lines, files, TLS, keys, CORS, logs, the bar, memory locks."""
import ctypes
import http.client
import json
import os
import pathlib
import pty
import re
import resource
import select
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import unittest

import harness

SECRET = "the prompt that nobody may read"


def any_model(folder):
    try:
        return harness.make_model(folder, "tiny-qwen3", "--types", "q8_0", "--seed", "5")
    except unittest.SkipTest:
        return harness.data("models/stories260K/stories260K.gguf")


def serve(*arguments, **environment):
    """Exit code and both outputs of a `tenfold serve` that is expected to end by itself."""
    done = subprocess.run([harness.binary(), "serve", *arguments], capture_output=True, text=True, timeout=20, check=False,
                          env={**os.environ, **environment})
    return done.returncode, done.stdout, done.stderr


class FolderTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="tenfold-configuration-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        pathlib.Path(path).write_text(text, encoding="utf-8")
        return path


class CommandLineTest(FolderTest):
    def expect(self, code, sentence, *arguments, **environment):
        got, output, errors = serve(*arguments, **environment)
        self.assertEqual(got, code, errors)
        self.assertEqual(output, "")
        first = errors.splitlines()[0]
        self.assertTrue(first.startswith("tenfold serve: "), first)
        self.assertIn(sentence, first)

    def test_wrong_usage_is_one_sentence_and_exit_code_2(self):
        self.expect(2, "Did you mean --ctx-size?", "--ctx-sise", "4")
        self.expect(2, "--port: '70000' is out of range; allowed: 0 to 65535", "--port", "70000")
        self.expect(2, "-c needs a value", "-c")
        self.expect(2, "tenfold serve -m FILE", "model.gguf")
        self.expect(2, "--lora is not supported", "--lora", "x")
        self.expect(2, "Did you mean TENFOLD_PORT?", TENFOLD_PROT="1")
        self.expect(2, "environment TENFOLD_THREADS: 'many' is no whole number", TENFOLD_THREADS="many")
        self.expect(2, "--host", "--host", "not an address")
        self.expect(2, "cpu_affinity: 'sideways' is neither none, compact, spread nor a list", "--cpu-affinity", "sideways")
        self.expect(2, "cpu_affinity: there is no CPU 60000", "--cpu-affinity", "60000")
        file = self.write("wrong.toml", "port = 9000\nprot = 1\n")
        self.expect(2, f"{file}:2: prot is no setting. Did you mean port?", "--config", file)
        file = self.write("broken.toml", "port 9000\n")
        self.expect(2, f"{file}:1:", "--config", file)

    def test_what_the_machine_refuses_is_exit_code_1(self):
        self.expect(1, "/nonexistent.toml: No such file", "--config", "/nonexistent.toml")
        self.expect(1, "/nonexistent.keys: No such file", "--api-key-file", "/nonexistent.keys")
        empty = self.write("empty.jinja", "")
        self.expect(2, f"chat_template_file: {empty} is empty", "--chat-template-file", empty)
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            self.expect(1, f"Port {port} on 127.0.0.1 is in use", "--port", str(port))

    def test_help_and_a_written_file(self):
        code, output, _ = serve("--help")
        self.assertEqual(code, 0)
        for word in ("--ctx-size", "--tls-cert", "-np", "Access", "default 8080"):
            self.assertIn(word, output)
        code, written, _ = serve("--print-config", "-c", "1024", "-np", "3", "--api-key", SECRET, "--alias", 'a "b"')
        self.assertEqual(code, 0)
        self.assertNotIn(SECRET, written)
        code, again, errors = serve("--print-config", "--config", self.write("again.toml", written))
        self.assertEqual((code, again.replace("# api_key = []", "")), (0, re.sub("# api_key is set.*", "", written)), errors)

    def test_every_source_reaches_the_server(self):
        model = any_model(self.folder)
        file = self.write("good.toml", f'model = "{model}"\nn_ctx = 64\nn_batch = 32\nn_gpu_layers = 7\nparallel = 2\n')
        port = harness.free_port()
        environment = {"TENFOLD_N_BATCH": "48", "TENFOLD_CONFIG": file}
        with harness.Server(None, "-np", "3", "--jinja", "--no-mmap", "-t", "1", port=port, environment=environment) as server:
            optimization = server.wait_ready()["optimization"]
            self.assertEqual([optimization[k] for k in ("n_ctx", "n_batch", "parallel", "n_gpu_layers", "mmap", "threads")],
                             [64, 48, 3, 0, False, 1])
            self.assertEqual(harness.post(port, "/v1/completions", {"prompt": [1, 2], "max_tokens": 2}).status, 200)
            log = server.log_text()
            self.assertIn("--jinja has no effect", log)
            self.assertIn("gpu_layers is 7", log)

    def test_cpus_outside_the_cpu_set_are_refused(self):
        allowed = sorted(os.sched_getaffinity(0))
        if len(allowed) < 2:
            raise unittest.SkipTest("one CPU alone has none to keep from a process")
        done = subprocess.run([harness.binary(), "serve", "--cpu-affinity", str(allowed[-1])], capture_output=True, text=True,
                              timeout=20, check=False, preexec_fn=lambda: os.sched_setaffinity(0, allowed[:-1]))
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn(f"this process may not use CPU {allowed[-1]}; its CPU set", done.stderr)

    def test_compute_threads_are_bound_where_it_is_asked(self):
        last = max(os.sched_getaffinity(0))
        with harness.Server(any_model(self.folder), "--cpu-affinity", str(last), "-t", "2") as server:
            optimization = server.wait_ready()["optimization"]
            self.assertEqual(optimization["cpus"]["affinity"], "list")
            self.assertEqual(optimization["cpus"]["bound"], [last, last])
            self.assertIn("as asked for", optimization["cpus"]["threads"])
            bound = 0
            for task in pathlib.Path(f"/proc/{server.process.pid}/task").iterdir():
                bound += f"Cpus_allowed_list:\t{last}\n" in (task / "status").read_text(encoding="utf-8")
            self.assertEqual(bound, 2 if len(os.sched_getaffinity(0)) > 1 else len(os.listdir(f"/proc/{server.process.pid}/task")))
            self.assertIn(f"bound to CPUs {last}, {last}", server.log_text())
            self.assertEqual(harness.post(server.port, "/v1/completions", {"prompt": [1, 2], "max_tokens": 2}).status, 200)

    def test_listening_for_everybody_without_a_key_warns(self):
        for arguments, warned in ((["--host", "0.0.0.0"], True), (["--host", "0.0.0.0", "--api-key", "k"], False), ([], False)):
            with harness.Server(None, *arguments) as server:
                server.first_answer()
                self.assertEqual("anybody who reaches" in server.log_text(), warned, arguments)


class TlsTest(FolderTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for name in ("one", "two"):
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                            "-keyout", f"{cls.folder}/{name}.key", "-out", f"{cls.folder}/{name}.crt", "-days", "2", "-subj",
                            "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
                           check=True, capture_output=True)
        subprocess.run(["openssl", "pkey", "-in", f"{cls.folder}/one.key", "-aes128", "-passout", "pass:x", "-out",
                        f"{cls.folder}/encrypted.key"], check=True, capture_output=True)
        cls.cert, cls.key = f"{cls.folder}/one.crt", f"{cls.folder}/one.key"

    def connect(self, port, **more):
        context = ssl.create_default_context(cafile=self.cert)
        for name, value in more.items():
            setattr(context, name, value)
        return http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=20)

    def test_files_that_do_not_fit_end_the_start(self):
        for cert, key, sentence in ((self.cert, f"{self.folder}/two.key", "is not the key of the certificate"),
                                    (self.cert, f"{self.folder}/encrypted.key", "is encrypted"),
                                    (self.cert, self.cert, "holds no PEM private key"),
                                    (self.key, self.key, "holds no PEM certificate"),
                                    (f"{self.folder}/none.crt", self.key, "cannot open"),
                                    (self.cert, f"{self.folder}/none.key", "cannot open")):
            code, _, errors = serve("--port", "0", "--tls-cert", cert, "--tls-key", key)
            self.assertIn(sentence, errors)
            self.assertEqual(code, 1 if "open" in sentence else 2, errors)
        self.assertIn("HTTPS needs both", serve("--tls-cert", self.cert)[2])

    def test_requests_streams_and_bodies_over_tls(self):
        model = any_model(self.folder)
        with harness.Server(model, "--ssl-cert-file", self.cert, "--ssl-key-file", self.key) as server:
            def status():
                connection = self.connect(server.port)
                try:
                    connection.request("GET", "/health")
                    return json.loads(connection.getresponse().read())["status"] == "ready"
                except OSError:
                    return False
            harness.wait_until(status, 30, "ready over TLS")
            connection = self.connect(server.port)
            for round_ in range(5):  # one connection: a read that waits while an answer runs is cancelled each time
                body = {"prompt": [1, 2, 3], "max_tokens": 20, "ignore_eos": True, "stream": round_ % 2 == 0}
                connection.request("POST", "/v1/completions", json.dumps(body), {"Content-Type": "application/json"})
                response = connection.getresponse()
                text = response.read().decode()
                self.assertEqual(response.status, 200, text)
                self.assertIn("[DONE]" if round_ % 2 == 0 else "usage", text)
            connection.request("POST", "/tokenize", json.dumps({"content": "a" * 3_000_000}))
            self.assertEqual(len(json.loads(connection.getresponse().read())["tokens"]) > 0, True)
            connection.request("POST", "/tokenize", b"x" * (17 << 20))
            self.assertEqual(connection.getresponse().status, 413)
            curl = subprocess.run(["curl", "-sS", "--cacert", self.cert, f"https://localhost:{server.port}/livez"],
                                  capture_output=True, text=True, timeout=20, check=False) if shutil.which("curl") else None
            if curl:
                self.assertIn("alive", curl.stdout, curl.stderr)
            self.assertEqual(server.stop(), 0)

    def test_plain_http_and_noise_hurt_nobody(self):
        with harness.Server(None, "--tls-cert", self.cert, "--tls-key", self.key) as server:
            plain = harness.wait_until(lambda: self.plain_answer(server.port), 20, "an answer to plain HTTP")
            self.assertEqual(plain.status, 400)
            self.assertIn("HTTPS", plain.json()["error"]["message"])
            with socket.create_connection(("127.0.0.1", server.port), timeout=20) as noise:
                noise.sendall(os.urandom(4000))
                with self.subTest("noise ends the connection"):
                    try:
                        while noise.recv(4096):
                            pass
                    except ConnectionResetError:
                        pass
            with self.assertRaises(ssl.SSLError):
                connection = self.connect(server.port, minimum_version=ssl.TLSVersion.TLSv1,
                                          maximum_version=ssl.TLSVersion.TLSv1_1)
                connection.request("GET", "/livez")
            silent = socket.create_connection(("127.0.0.1", server.port), timeout=20)  # no handshake: it must not block others
            connection = self.connect(server.port, minimum_version=ssl.TLSVersion.TLSv1_2, maximum_version=ssl.TLSVersion.TLSv1_2)
            connection.request("GET", "/livez")
            self.assertEqual(connection.getresponse().status, 200)
            silent.settimeout(20)
            self.assertEqual(silent.recv(1), b"", "a handshake that never comes ends after its limit")
            silent.close()

    def plain_answer(self, port):
        try:
            return harness.get(port, "/health")
        except OSError:
            return None


class AccessTest(FolderTest):
    def test_keys_of_flags_and_file(self):
        file = self.write("keys", "# people\nkey-three\n\nkey-four\n")
        with harness.Server(None, "--api-key", "key-one,key-two", "--api-key-file", file) as server:
            server.first_answer()
            for key in ("key-one", "key-two", "key-three", "key-four"):
                answer = harness.get(server.port, "/v1/models", headers={"Authorization": f"Bearer {key}"})
                self.assertEqual(answer.status, 200, key)
            for key in ("key-five", "key-one,key-two", "# people", "", "key-on"):
                answer = harness.get(server.port, "/v1/models", headers={"Authorization": f"Bearer {key}"})
                self.assertEqual(answer.status, 401, key)
                self.assertEqual(answer.json()["error"]["type"], "authentication_error")
            self.assertEqual(harness.get(server.port, "/health").status, 200)
            log = server.log_text()
            for key in ("key-one", "key-two", "key-three", "key-four", "key-five"):
                self.assertNotIn(key, log)

    def test_cors(self):
        origin = {"Origin": "https://page.example"}
        preflight = {**origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
        route = "/v1/chat/completions"
        with harness.Server(None, "--api-key", "k") as server:
            server.first_answer()
            for answer in (harness.get(server.port, "/health", headers=origin),
                           harness.request(server.port, "OPTIONS", route, headers=preflight)):
                self.assertNotIn("Access-Control-Allow-Origin", answer.headers)
        with harness.Server(None, "--api-key", "k", "--cors-origin", "https://page.example") as server:
            server.first_answer()
            answer = harness.request(server.port, "OPTIONS", route, headers=preflight)  # without a key: browsers send none
            self.assertEqual(answer.status, 204)
            self.assertEqual(answer.headers["Access-Control-Allow-Origin"], "https://page.example")
            self.assertIn("POST", answer.headers["Access-Control-Allow-Methods"])
            self.assertEqual(answer.headers["Access-Control-Allow-Headers"], "authorization")
            self.assertIn("Origin", answer.headers.get_all("Vary"))
            refused = harness.post(server.port, route, {}, headers=origin)
            self.assertEqual((refused.status, refused.headers["Access-Control-Allow-Origin"]), (401, "https://page.example"))
            other = harness.get(server.port, "/health", headers={"Origin": "https://other.example"})
            self.assertNotIn("Access-Control-Allow-Origin", other.headers)
            self.assertEqual(other.headers["Vary"], "Origin")
        with harness.Server(None, "--cors-origin", "*") as server:
            server.first_answer()
            answer = harness.get(server.port, "/health", headers=origin)
            self.assertEqual(answer.headers["Access-Control-Allow-Origin"], "*")
            self.assertNotIn("Access-Control-Allow-Credentials", answer.headers)


class LogTest(FolderTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.model = any_model(cls.folder)

    def ask(self, server, key=None):
        headers = {"X-Request-Id": "mine-1"}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        answer = harness.post(server.port, "/v1/completions", {"prompt": SECRET, "max_tokens": 5, "ignore_eos": True},
                              headers=headers)
        self.assertEqual(answer.status, 200, answer.body)
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as raw:
            raw.sendall(b"GET /\xff\"quoted\\%0a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            raw.recv(4096)

    def test_json_lines_are_objects_with_stable_keys(self):
        with harness.ready_server(self.model, "--log-format", "json", "--log-level", "debug", "--api-key", "k1") as server:
            self.ask(server, "k1")
            server.stop()
            lines = [json.loads(line) for line in server.log_text().splitlines()]
        for line in lines:
            self.assertEqual(list(line)[:3], ["time", "level", "message"])
        request = next(line for line in lines if line.get("id") == "mine-1")
        self.assertEqual(list(request)[3:],
                         ["id", "key", "route", "status", "finish", "prompt_tokens", "cached_tokens", "generated_tokens",
                          "load_ms", "queue_ms", "prefill_ms", "decode_ms", "total_ms", "tokens_per_s"])
        self.assertEqual((request["route"], request["status"], request["finish"], request["generated_tokens"]),
                         ("/v1/completions", 200, "length", 5))
        self.assertRegex(request["key"], "^[0-9a-f]{8}$")
        self.assertGreater(request["tokens_per_s"], 0)
        self.assertGreaterEqual(request["total_ms"], request["prefill_ms"])
        self.assertTrue(any("quoted" in line.get("route", "") for line in lines))

    def test_prompts_are_logged_only_when_asked(self):
        for arguments, logged in (([], False), (["--log-level", "debug"], False), (["--log-prompts"], True)):
            with harness.ready_server(self.model, *arguments) as server:
                self.ask(server)
                server.stop()
                text = server.log_text()
            self.assertEqual(SECRET in text, logged, arguments)
            line = next(line for line in text.splitlines() if "finish=" in line)
            for word in ("id=mine-1", "key=none", "route=/v1/completions", "status=200", "finish=length", "queue_ms="):
                self.assertIn(word, line)
            self.assertNotIn("\x1b", text)

    def test_the_bar_on_a_terminal(self):
        """A load under a pseudo-terminal: a bar redrawn in place, gone when the model is there; Ctrl-C ends the process."""
        port = harness.free_port()
        controller, terminal = pty.openpty()
        process = subprocess.Popen([harness.binary(), "serve", "-m", str(self.model), "--port", str(port)], stdin=terminal,
                                   stdout=terminal, stderr=terminal, env={**os.environ, "TERM": "xterm"}, start_new_session=True)
        os.close(terminal)
        try:
            seen = b""
            deadline = time.monotonic() + 30
            while b"ready:" not in seen or not seen.rstrip(b" ").endswith((b"\n", b"\x1b[K")):
                self.assertLess(time.monotonic(), deadline, seen)
                if select.select([controller], [], [], 0.2)[0]:
                    seen += os.read(controller, 65536)
            self.assertIn(b"loading [", seen)
            self.assertIn(b" % ", seen)
            self.assertIn(b"\r\x1b[K", seen)
            self.assertNotIn(b"loading [", seen.rsplit(b"\x1b[K", 1)[1], "the bar is gone when the model is there")
            self.assertIn(b"\x1b[32minfo", seen)
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.wait(20), 0)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            os.close(controller)


class MemoryLockTest(FolderTest):
    def test_a_low_limit_locks_a_part_and_says_what_to_raise(self):
        model = any_model(self.folder)
        limit = 64 << 10

        def live_under_a_limit():
            ctypes.CDLL(None, use_errno=True).prctl(24, 14, 0, 0, 0)  # PR_CAPBSET_DROP, CAP_IPC_LOCK: also for root
            resource.setrlimit(resource.RLIMIT_MEMLOCK, (limit, limit))
        port = harness.free_port()
        with tempfile.TemporaryFile(mode="w+") as log:
            process = subprocess.Popen([harness.binary(), "serve", "-m", str(model), "--mlock", "--port", str(port)],
                                       stderr=log, preexec_fn=live_under_a_limit)
            try:
                def ready():
                    try:
                        health = harness.get(port, "/health").json()
                        return health["status"] == "ready" and health
                    except OSError:
                        return None
                mlock = harness.wait_until(ready, 30, "ready")["optimization"]["mlock"]
                self.assertEqual((mlock["asked"], mlock["got"], mlock["locked_bytes"]), (True, False, limit))
                for advice in ("ulimit -l", "--ulimit memlock=-1", "LimitMEMLOCK"):
                    self.assertIn(advice, mlock["reason"])
                log.seek(0)
                self.assertIn("mlock: locked", log.read())
            finally:
                process.terminate()
                process.wait(20)


if __name__ == "__main__":
    harness.main()
