#!/usr/bin/env python3
"""How fast the functions start, how much memory they hold, how large they are: beside a hello-world function, in the same run.

    tests/bench/lambda.py [--runs 20] [--no-build] [--check]

Needs Linux, the Rust toolchain and Python 3.11; the S3 server and the models' server are started here. Times are what this machine
gives: compare rows of one run with each other, not with another machine's. `--check` fails where a goal is missed.

- init: from the start of the process to its first request for an event (what Lambda bills as init, without loading the code).
- first answer: from the event to the answer of a process that has just started.
- CPU: of all threads, by the scheduler's own count (nanoseconds), not by ticks.
"""

import argparse
import http.server
import json
import os
import queue
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODELS = 25
ENVIRONMENTS = ["dev", "test", "qa", "prod"]
# Goals, for --check.
MOST_INIT_CPU = 2.0  # times hello-world's
MOST_ZIPPED_MB = 8.0
MOST_RESIDENT_MB = 32.0


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A function that is killed cuts its connections."""


class RuntimeApi:
    """Lambda's side of a function."""

    def __init__(self):
        api = self
        self.asked = queue.Queue()
        self.events = queue.Queue()
        self.answers = queue.Queue()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                api.asked.put(time.monotonic())
                event = api.events.get()
                if event is None:
                    # The function is gone.
                    self.close_connection = True
                    return
                body = json.dumps(event).encode()
                self.send_response(200)
                self.send_header("lambda-runtime-aws-request-id", "bench")
                self.send_header("lambda-runtime-deadline-ms", str(int((time.time() + 60) * 1000)))
                self.send_header("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:123456789012:function:f")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self):
                length = self.headers.get("content-length")
                body = self.rfile.read(int(length)) if length else self.read_chunked()
                api.answers.put((time.monotonic(), self.path, body))
                self.send_response(202)
                self.send_header("content-length", "0")
                self.end_headers()

            def read_chunked(self):
                body = b""
                while True:
                    size = int(self.rfile.readline().strip() or b"0", 16)
                    body += self.rfile.read(size)
                    self.rfile.readline()
                    if size == 0:
                        return body

            def log_message(self, *args):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def address(self):
        return f"127.0.0.1:{self.server.server_address[1]}"


def cpu_ms(pid):
    """CPU that all threads of a process have used."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            total += int((task / "schedstat").read_text().split()[0])
        except (FileNotFoundError, ProcessLookupError):
            pass
    return total / 1e6


def memory_mb(pid, field):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    raise KeyError(field)


def run(binary, variables, event):
    """One process: its start, one event, its answer."""
    api = RuntimeApi()
    environment = {
        "AWS_LAMBDA_RUNTIME_API": api.address,
        "AWS_LAMBDA_FUNCTION_NAME": "f",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "RUST_LOG": "warn",
        **variables,
    }
    started = time.monotonic()
    # What it warns of is for whoever runs this.
    process = subprocess.Popen([binary], env=environment, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    try:
        asked = first(api.asked, f"{binary} asked for no event", 60)
        init = {
            "init_ms": (asked - started) * 1e3,
            "init_cpu_ms": cpu_ms(process.pid),
            "init_resident_mb": memory_mb(process.pid, "VmRSS"),
        }
        sent = time.monotonic()
        api.events.put(event)
        answered, path, body = first(api.answers, f"{binary} gave no answer", 120)
        if not path.endswith("/response"):
            raise SystemExit(f"{binary} failed: {body.decode()}")
        result = {
            **init,
            "answer_ms": (answered - sent) * 1e3,
            "answer_cpu_ms": cpu_ms(process.pid),
            "resident_mb": memory_mb(process.pid, "VmRSS"),
            "peak_mb": memory_mb(process.pid, "VmHWM"),
        }
        return result, json.loads(body or b"null")
    finally:
        process.kill()
        process.wait()
        # Whoever waits for one more event.
        api.events.put(None)
        api.server.shutdown()
        api.server.server_close()


def first(waited_for, otherwise, seconds):
    try:
        return waited_for.get(timeout=seconds)
    except queue.Empty:
        raise SystemExit(f"{otherwise} within {seconds} s") from None


def sizes_mb(binary):
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "function.zip"
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as file:
            file.write(binary, "bootstrap")
        return binary.stat().st_size / 1e6, archive.stat().st_size / 1e6


def build():
    names = ["llm-monitor-function-monitor", "llm-monitor-function-api", "llm-monitor-function-runtime", "llm-monitor"]
    packages = [argument for name in names for argument in ("--package", name)]
    # The local runner only plays the world outside.
    subprocess.run(["cargo", "build", "--release", "--bins", "--examples", *packages], cwd=ROOT, check=True)


def world(folder, binary):
    """An S3 server, usage endpoints and models; and the functions' variables."""
    venv = subprocess.run(["bash", "tests/services.sh"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()
    s3 = subprocess.Popen(
        [ROOT / venv / "bin/python", ROOT / "tests/moto/serve.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    ready = json.loads(s3.stdout.readline())
    behaviour = {"ttft_ms": 200, "pace_ms": 10, "output_tokens": 128}
    config = {"models": {f"gpt-{i}": {"provider": "openai", "behaviour": behaviour} for i in range(MODELS)}}
    config["environments"] = {name: {} for name in ENVIRONMENTS}
    (folder / "mock.json").write_text(json.dumps(config))
    mock = subprocess.Popen(
        [binary, "mock", "--config", folder / "mock.json", "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True
    )
    variables = {
        "RECORDS_BUCKET": ready["bucket"],
        "RECORDS_APPEND": "swap",
        "AWS_ENDPOINT_URL_S3": ready["endpoint"],
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": ready["access_key_id"],
        "AWS_SECRET_ACCESS_KEY": ready["secret_access_key"],
    }
    for line in mock.stdout:
        name, separator, value = line.strip().partition("=")
        if separator and name.isupper():
            variables[name] = value
        elif variables.get("MULTI_ENV_MODE") and not line.strip():
            break
    return [s3, mock], variables


def api_event(path):
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"host": "bench"},
        "requestContext": {
            "http": {"method": "GET", "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "bench"},
            "stage": "$default",
        },
        "isBase64Encoded": False,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--no-build", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--profile", default="release", help="folder in target/ (debug only to try the benchmark itself)")
    arguments = parser.parse_args()
    if not arguments.no_build:
        build()
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / arguments.profile
    with tempfile.TemporaryDirectory() as folder:
        processes, variables = world(Path(folder), target / "llm-monitor")
        try:
            measure(arguments, target, variables)
        finally:
            for process in processes:
                process.kill()


def measure(arguments, target, variables):
    functions = [
        ("hello world", target / "examples/hello", {}, {}),
        ("api: /openapi.json", target / "api", variables, api_event("/openapi.json")),
        ("api: /api/latency", target / "api", variables, api_event("/api/latency")),
        (f"monitor: {MODELS * len(ENVIRONMENTS)} probes", target / "monitor", variables, {}),
    ]
    columns = ["init_ms", "init_cpu_ms", "init_resident_mb", "answer_ms", "answer_cpu_ms", "resident_mb", "peak_mb"]
    print(f"{'median of ' + str(arguments.runs):24}" + "".join(f"{name:>18}" for name in columns) + "   binary MB  zipped MB")
    medians = {}
    # In turns, so that what else the machine does falls on all alike.
    results = {name: [] for name, *_ in functions}
    for index in range(arguments.runs):
        for name, binary, environment, event in functions:
            if name.startswith("monitor") and index >= max(3, arguments.runs // 5):
                continue
            result, answer = run(binary, environment, event)
            results[name].append(result)
            if name.startswith("monitor") and answer["probes"] != MODELS * len(ENVIRONMENTS):
                raise SystemExit(f"the monitor did not send every probe: {answer}")
    for name, binary, *_ in functions:
        median = {column: statistics.median(result[column] for result in results[name]) for column in columns}
        median["binary"], median["zipped"] = sizes_mb(binary)
        medians[name] = median
        numbers = "".join(f"{median[column]:18.2f}" for column in columns)
        print(f"{name:24}{numbers}{median['binary']:12.2f}{median['zipped']:11.2f}")
    sys.exit(judge(medians) if arguments.check else 0)


def judge(medians):
    hello = medians["hello world"]
    missed = []
    for name, median in medians.items():
        if median["init_cpu_ms"] > MOST_INIT_CPU * hello["init_cpu_ms"]:
            missed.append(f"{name}: {median['init_cpu_ms']:.2f} ms of CPU at init, hello world {hello['init_cpu_ms']:.2f}")
        if median["zipped"] > MOST_ZIPPED_MB:
            missed.append(f"{name}: {median['zipped']:.2f} MB zipped")
        if median["peak_mb"] > MOST_RESIDENT_MB:
            missed.append(f"{name}: {median['peak_mb']:.2f} MB resident at most")
    for line in missed:
        print(f"goal missed: {line}")
    return 1 if missed else 0


if __name__ == "__main__":
    main()
