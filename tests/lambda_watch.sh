#!/usr/bin/env bash
# The functions as `cargo lambda watch` runs them: the sample events, by `cargo lambda invoke`, as the README shows.
# Needs Python 3.11 and PyPI (cargo-lambda).
#
#   tests/lambda_watch.sh [VENV]     default VENV: target/test-venv/lambda (made once, kept)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
venv="${1:-target/test-venv/lambda}"
wanted="$(cat tests/lambda_watch.txt)"
if [[ "$(cat "$venv/installed" 2>/dev/null)" != "$wanted" ]]; then
    "${PYTHON:-python3}" -m venv --clear "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement tests/lambda_watch.txt
    printf '%s' "$wanted" >"$venv/installed"
fi
export PATH="$PWD/$venv/bin:$PATH"

folder="$(mktemp -d)"
pids=()
# shellcheck disable=SC2317  # called by the trap
finish() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    rm -rf "$folder"
}
trap finish EXIT

fail() {
    echo "lambda_watch: $1" >&2
    tail -n 40 "$folder"/*.log >&2
    exit 1
}

# Waits for a line in a file; nothing is measured by how long.
wait_for() {
    for _ in $(seq 1200); do
        grep -q "$1" "$2" 2>/dev/null && return
        sleep 0.1
    done
    fail "no '$1' in $2"
}

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# The world outside: models, usage endpoints, and an S3 server.
cargo build --quiet --workspace --bin llm-monitor
"${CARGO_TARGET_DIR:-target}/debug/llm-monitor" mock --listen 127.0.0.1:0 >"$folder/mock.log" &
pids+=($!)
services="$(bash tests/services.sh)"
mkfifo "$folder/hold"
"$services/bin/python" tests/moto/serve.py <"$folder/hold" >"$folder/s3.log" &
pids+=($!)
exec 9>"$folder/hold"
wait_for 'OLLAMA_BASE_URL' "$folder/mock.log"
wait_for endpoint "$folder/s3.log"
s3() { python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$folder/s3.log" "$1"; }
{
    grep -E '^[A-Z_]+=' "$folder/mock.log"
    echo "RECORDS_BUCKET=$(s3 bucket)"
    echo "RECORDS_PREFIX=watch"
    echo "AWS_ENDPOINT_URL_S3=$(s3 endpoint)"
    echo "AWS_REGION=us-east-1"
    echo "AWS_ACCESS_KEY_ID=$(s3 access_key_id)"
    echo "AWS_SECRET_ACCESS_KEY=$(s3 secret_access_key)"
} >"$folder/env"

# One watch for each function: without --package cargo looks for them among the default members, where only llm-monitor is.
declare -A ports
for function in monitor api; do
    ports[$function]="$(free_port)"
    cargo lambda watch --package "llm-monitor-function-$function" --ignore-changes \
        --invoke-address 127.0.0.1 --invoke-port "${ports[$function]}" --env-file "$folder/env" \
        >"$folder/watch-$function.log" 2>&1 &
    pids+=($!)
    wait_for "starting Runtime server" "$folder/watch-$function.log"
done

invoke() {
    cargo lambda invoke "$1" --invoke-address 127.0.0.1 --invoke-port "${ports[$1]}" \
        --data-file "tests/fixtures/events/$2.json" 2>"$folder/invoke.log"
}

answer="$(invoke monitor monitor/scheduler)" || fail "the monitor did not answer"
grep -q '"cycle_id":"20261124T165400Z"' <<<"$answer" || fail "no cycle of the event's time: $answer"
grep -q '"write_errors":{}' <<<"$answer" || fail "rows were not written: $answer"
answer="$(invoke monitor monitor/scheduler)" || fail "the monitor did not answer again"
grep -q '"written":0' <<<"$answer" || fail "the same event again added rows: $answer"
if invoke monitor monitor/wrong-time-type >/dev/null; then fail "a wrong event was taken"; fi

answer="$(invoke api api/http-api-get-latency)" || fail "the api did not answer"
grep -q '"statusCode":200' <<<"$answer" || fail "the api refused: $answer"
grep -q '20261124T165400Z' <<<"$answer" || fail "the api does not serve the cycle: $answer"
answer="$(invoke api api/http-api-named-stage-get-latency)" || fail "the api did not answer"
grep -q '"statusCode":200' <<<"$answer" || fail "a named stage is refused: $answer"
echo "cargo lambda watch and invoke: ok"
