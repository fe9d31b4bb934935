"""DuckDB and the API over the same records: their numbers must agree.

A seeded past is laid out as local files and, by `backup`, as a bucket's objects on an S3 server (moto). For each, `serve` answers
over HTTP, and DuckDB runs the queries of docs/QUERIES.md: over the files where they lie, and over a mirror of the bucket. (DuckDB's
own S3 client is an extension that is downloaded from the internet, which no test does.)
"""

import json
import math
import os
import re
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

import boto3
import duckdb
from botocore.config import Config

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug" / "llm-monitor"
UNTIL, FROM, TO = "2026-11-24", "2026-11-23T06:00:00Z", "2026-11-25T00:00:00Z"
QUIET = {
    # Nobody answers there: the monitor's own cycles are of today, and outside of what is compared.
    "DEV_USAGE_ENDPOINT": "http://127.0.0.1:9",
    "OLLAMA_BASE_URL": "http://127.0.0.1:9",
    "MONITOR_INTERVAL": "3600",
    "LLM_API_TIMEOUT": "1",
    "LISTEN": "127.0.0.1:0",
}


def queries():
    text = (ROOT / "docs/QUERIES.md").read_text()
    return dict(re.findall(r"^```sql (\w+)\n(.*?)^```$", text, re.M | re.S))


class Api:
    """`serve`, for as long as the block lasts."""

    def __init__(self, folder, variables):
        self.folder, self.variables = folder, variables

    def __enter__(self):
        command = [PROGRAM, "serve"]
        self.process = subprocess.Popen(
            command, cwd=self.folder, env=QUIET | self.variables, stderr=subprocess.PIPE, text=True
        )
        self.log = []
        for line in self.process.stderr:
            self.log.append(line)
            if found := re.search(r"listening on (http://\S+)", line):
                self.url = found.group(1)
                return self
        raise SystemExit("serve did not start:\n" + "".join(self.log))

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.communicate(timeout=60)
        finally:
            # Does nothing to one that ended.
            self.process.kill()

    def get(self, path):
        with urllib.request.urlopen(self.url + path) as answer:
            return json.load(answer)


def api_numbers(api):
    summary = api.get(f"/api/summary?group_by=environment,model&from={FROM}&to={TO}")
    costs = api.get(f"/api/costs?from=2026-11-23&to={TO}")
    assert summary["exact"] is True, summary
    numbers = {"summary": {}, "failures": {}, "costs": {}}
    for group in summary["groups"]:
        key = (group["environment"], group["model_name"])
        numbers["summary"][key] = (
            group["count"],
            group["successes"],
            group["failures"],
            group["rate_limited"],
            group["latency_ms"]["p50"],
            group["latency_ms"]["p95"],
            group["ttft_ms"]["p95"],
            group["output_tokens"],
            group["cost"],
        )
        for kind, count in group["failures_by_kind"].items():
            numbers["failures"][(*key, kind)] = (count,)
    for day in costs["monitoring"]["days"]:
        numbers["costs"][(day["date"], day["environment"])] = (day["cost"], day["probes"], day["unpriced"])
    return numbers


def duckdb_numbers(folder, view):
    sql = queries()
    # The names in the document are relative.
    os.chdir(folder)
    connection = duckdb.connect()
    connection.execute("SET autoinstall_known_extensions = false; SET TimeZone = 'UTC'")
    days = ", 'latency_data.d/date=*.csv'"
    has_days = any(Path("latency_data.d").glob("date=*.csv"))
    # As the document says: a pattern that fits nothing is left out.
    connection.execute(sql[view] if has_days else sql[view].replace(days, ""))
    rows = {name: connection.execute(sql[name]).fetchall() for name in ("summary", "failures", "costs")}
    number = lambda value: None if value is None else float(value)  # noqa: E731
    return {
        "summary": {row[:2]: tuple(number(value) for value in row[2:]) for row in rows["summary"]},
        "failures": {row[:3]: (number(row[3]),) for row in rows["failures"]},
        "costs": {(str(row[0]), row[1]): tuple(number(value) for value in row[2:]) for row in rows["costs"]},
    }


def compare(place, api, engine):
    wrong = []
    for part, expected in api.items():
        if set(expected) != set(engine[part]):
            wrong.append(f"{part}: {set(expected) ^ set(engine[part])} only in one of both")
            continue
        for key, values in expected.items():
            for ours, theirs in zip(values, engine[part][key], strict=True):
                same = ours == theirs or (
                    None not in (ours, theirs) and math.isclose(ours, theirs, rel_tol=1e-12)
                )
                if not same:
                    wrong.append(f"{part} {key}: the API says {values}, DuckDB {engine[part][key]}")
                    break
    if wrong:
        raise SystemExit(f"{place}: the numbers differ\n" + "\n".join(wrong[:20]))
    counts = ", ".join(f"{len(rows)} rows of {part}" for part, rows in api.items())
    print(f"{place}: the API and DuckDB agree on {counts}")


def program(folder, variables, *arguments):
    subprocess.run([PROGRAM, *arguments], cwd=folder, env=variables, check=True)


def main():
    with tempfile.TemporaryDirectory() as temporary:
        files = Path(temporary) / "files"
        program(
            temporary, {}, "mock-history", "--days", "3", "--models", "6", "--interval", "120", "--until", UNTIL,
            "--out", "files/latency_data.csv",
        )
        with Api(files, {}) as api:
            numbers = api_numbers(api)
        assert len(numbers["summary"]) == 24 and numbers["failures"], "the past is too small to tell anything"
        compare("local files", numbers, duckdb_numbers(files, "files"))
        bucket(Path(temporary), files, numbers)


def bucket(temporary, files, of_files):
    command = [sys.executable, ROOT / "tests/moto/serve.py"]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        place = json.loads(server.stdout.readline())
        reached = {
            "AWS_ENDPOINT_URL_S3": place["endpoint"],
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": place["access_key_id"],
            "AWS_SECRET_ACCESS_KEY": place["secret_access_key"],
        }
        program(files, reached, "backup", f"s3://{place['bucket']}/team")
        served = reached | {"STORE": "s3", "RECORDS_BUCKET": place["bucket"], "RECORDS_PREFIX": "team"}
        program(files, served, "verify")
        with Api(temporary, served) as api:
            numbers = api_numbers(api)
        assert numbers == of_files, "a copy has other numbers than what it is a copy of"
        mirror = temporary / "mirror"
        download(place, "team/", mirror)
        compare("bucket", numbers, duckdb_numbers(mirror, "bucket"))
    finally:
        server.stdin.close()
        server.wait(timeout=60)


def download(place, prefix, folder):
    client = boto3.client(
        "s3",
        endpoint_url=place["endpoint"],
        region_name="us-east-1",
        aws_access_key_id=place["access_key_id"],
        aws_secret_access_key=place["secret_access_key"],
        config=Config(s3={"addressing_style": "path"}),
    )
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=place["bucket"], Prefix=prefix + "records/"):
        for listed in page.get("Contents", []):
            path = folder / listed["Key"].removeprefix(prefix)
            path.parent.mkdir(parents=True, exist_ok=True)
            client.download_file(place["bucket"], listed["Key"], str(path))


if __name__ == "__main__":
    main()
