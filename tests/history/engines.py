"""DuckDB and the API over the same records: their numbers must agree.

A seeded past is laid out as local files and, by `backup`, as a bucket's objects on an S3 server (moto). For each, `serve` answers
over HTTP, and DuckDB runs the queries of docs/QUERIES.md over the files and over the bucket, where they lie. It reaches the server by
s3fs: its own S3 client is an extension that is downloaded from the internet, which no test does.

A window of two days is exact, and each number must be DuckDB's. A longer one is made of rollups: counts, sums, least and greatest
values must be DuckDB's all the same, percentiles within 1 %.
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

import duckdb
import s3fs

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug" / "llm-monitor"
UNTIL, FROM, TO = "2026-11-24", "2026-11-23T06:00:00Z", "2026-11-25T00:00:00Z"
# Over 49 hours, and from and to the middle of an hour: made of rollups, but for its ends.
LONG_FROM, LONG_TO = "2026-11-22T05:30:00Z", "2026-11-24T20:30:00Z"
SUMS = (
    "count", "successes", "failures", "input_tokens", "output_tokens", "cached_input_tokens", "cost", "priced"
)
METRICS, PERCENTILES = ("latency_ms", "ttft_ms", "tpot_ms", "connect_ms"), (50, 90, 95, 99)
# How far a number may be from DuckDB's, as a share of it: what docs/API.md says. All others are the same but for float noise.
TOLERANCES = {"percentiles": 0.01}
FLOAT_NOISE = 1e-12
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


def long_numbers(api):
    summary = api.get(f"/api/summary?group_by=environment,model&from={LONG_FROM}&to={LONG_TO}")
    assert summary["exact"] is False, "a window this long is made of rollups"
    numbers = {"sums": {}, "bounds": {}, "percentiles": {}}
    for group in summary["groups"]:
        key = (group["environment"], group["model_name"])
        numbers["sums"][key] = tuple(group[name] for name in SUMS)
        for metric in METRICS:
            of_metric = group[metric]
            numbers["bounds"][(*key, metric)] = tuple(of_metric[name] for name in ("count", "min", "max"))
            numbers["percentiles"][(*key, metric)] = tuple(of_metric[f"p{percent}"] for percent in PERCENTILES)
    return numbers


def connect(view, where, filesystem=None):
    """DuckDB with the `view` of docs/QUERIES.md, whose relative names begin at `where`."""
    connection = duckdb.connect()
    connection.execute("SET autoinstall_known_extensions = false; SET TimeZone = 'UTC'")
    if filesystem:
        connection.register_filesystem(filesystem)
    sql = queries()[view]
    # As the document says: a pattern that fits nothing is left out.
    if not any(Path(where, "latency_data.d").glob("date=*.csv")):
        sql = sql.replace(", 'latency_data.d/date=*.csv'", "")
    connection.execute(re.sub(r"'(latency_data\.|records/)", rf"'{where}/\1", sql))
    return connection


def number(value):
    return None if value is None else float(value)


def duckdb_numbers(connection):
    sql = queries()
    rows = {name: connection.execute(sql[name]).fetchall() for name in ("summary", "failures", "costs")}
    return {
        "summary": {row[:2]: tuple(map(number, row[2:])) for row in rows["summary"]},
        "failures": {row[:3]: (number(row[3]),) for row in rows["failures"]},
        "costs": {(str(row[0]), row[1]): tuple(map(number, row[2:])) for row in rows["costs"]},
    }


def duckdb_long_numbers(connection):
    def of_metric(metric):
        ms, successes = f"CAST({metric} AS DOUBLE)", "FILTER (WHERE status = 'success')"
        figures = ["count({})", "min({})", "max({})"] + [f"quantile_disc({{}}, {at / 100})" for at in PERCENTILES]
        return ", ".join(f"{figure.format(ms)} {successes}" for figure in figures)

    # One query: each reads every object of the bucket.
    rows = connection.execute(
        f"""SELECT environment, model_name, count(*), count(*) FILTER (WHERE status = 'success'),
            count(*) FILTER (WHERE status = 'error' AND error_kind IS DISTINCT FROM 'rate_limited'), sum(input_tokens),
            sum(output_tokens), coalesce(sum(CAST(cached_input_tokens AS BIGINT)), 0), sum(cost), count(cost),
            {", ".join(map(of_metric, METRICS))}
            FROM records WHERE NOT simulated
            AND timestamp >= TIMESTAMP '{LONG_FROM[:-1]}' AND timestamp < TIMESTAMP '{LONG_TO[:-1]}' GROUP BY ALL"""
    ).fetchall()
    numbers = {"sums": {}, "bounds": {}, "percentiles": {}}
    for row in rows:
        key, sums, durations = row[:2], row[2 : 2 + len(SUMS)], row[2 + len(SUMS) :]
        numbers["sums"][key] = tuple(map(number, sums))
        for metric in METRICS:
            of_this, durations = durations[: 3 + len(PERCENTILES)], durations[3 + len(PERCENTILES) :]
            numbers["bounds"][(*key, metric)], numbers["percentiles"][(*key, metric)] = of_this[:3], of_this[3:]
    return numbers


def is_same(ours, theirs, tolerance):
    if None in (ours, theirs):
        return ours is theirs
    if tolerance is None:
        return math.isclose(ours, theirs, rel_tol=FLOAT_NOISE)
    return abs(ours - theirs) <= (tolerance + FLOAT_NOISE) * abs(theirs)


def compare(place, api, engine):
    wrong = []
    for part, expected in api.items():
        if set(expected) != set(engine[part]):
            wrong.append(f"{part}: {set(expected) ^ set(engine[part])} only in one of both")
            continue
        for key, values in expected.items():
            pairs = zip(values, engine[part][key], strict=True)
            if not all(is_same(ours, theirs, TOLERANCES.get(part)) for ours, theirs in pairs):
                wrong.append(f"{part} {key}: the API says {values}, DuckDB {engine[part][key]}")
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
            numbers, of_long = api_numbers(api), long_numbers(api)
        assert len(numbers["summary"]) == 24 and numbers["failures"], "the past is too small to tell anything"
        connection = connect("files", files)
        compare("local files", numbers, duckdb_numbers(connection))
        compare("local files, 63 hours", of_long, duckdb_long_numbers(connection))
        bucket(Path(temporary), files, numbers, of_long)


def bucket(temporary, files, of_files, long_of_files):
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
            numbers, of_long = api_numbers(api), long_numbers(api)
        assert (numbers, of_long) == (of_files, long_of_files), "a copy has other numbers than what it is a copy of"
        filesystem = s3fs.S3FileSystem(
            endpoint_url=place["endpoint"],
            key=place["access_key_id"],
            secret=place["secret_access_key"],
            client_kwargs={"region_name": "us-east-1"},
        )
        connection = connect("bucket", f"s3://{place['bucket']}/team", filesystem)
        compare("bucket", numbers, duckdb_numbers(connection))
        compare("bucket, 63 hours", of_long, duckdb_long_numbers(connection))
    finally:
        server.stdin.close()
        server.wait(timeout=60)


if __name__ == "__main__":
    main()
