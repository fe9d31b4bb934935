#!/usr/bin/env bash
# Sends requests made from the served OpenAPI document to the real program and checks every answer against that document:
# statuses, bodies, headers, content types, methods, and that nothing can be had without the token.
# Usage: tests/schemathesis.sh [EXAMPLES_PER_OPERATION]. Needs cargo and python3; reaches nothing but PyPI.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly VERSION=4.32.5
readonly EXAMPLES="${1:-25}"
readonly TOKEN=schemathesis-token
readonly VENV=target/test-venv/schemathesis
readonly TARGET="${CARGO_TARGET_DIR:-target}"

if [[ "$("$VENV/bin/pip" show schemathesis 2>/dev/null | grep '^Version:' || true)" != "Version: $VERSION" ]]; then
    python3 -m venv "$VENV"
    "$VENV/bin/pip" install --quiet --disable-pip-version-check "schemathesis==$VERSION"
fi
cargo build --quiet --workspace --bin llm-monitor

work="$(mktemp -d)"
server=
finish() {
    if [[ -n "$server" ]]; then
        kill "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    fi
    rm -rf "$work"
}
trap finish EXIT

monitor="$PWD/$TARGET/debug/llm-monitor"
[[ -x "$monitor" ]] || monitor="$TARGET/debug/llm-monitor"
schemathesis="$PWD/$VENV/bin/schemathesis"
cd "$work"

# Real rows of every environment, failures among them.
"$monitor" demo --cycles 3 --interval 2 --csv "$work/latency_data.csv" >/dev/null

port="$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')"
# Nothing to monitor can be reached, so that the rows stay as they are; POST adds some.
env -i PATH="$PATH" HOME="$work" RUST_LOG=error \
    LISTEN="127.0.0.1:$port" API_TOKEN="$TOKEN" LATENCY_DATA_CSV="$work/latency_data.csv" MONITOR_INTERVAL=3600 \
    DEV_USAGE_ENDPOINT=http://127.0.0.1:1/usage OLLAMA_BASE_URL=http://127.0.0.1:1 LLM_API_TIMEOUT=2 \
    "$monitor" serve >"$work/serve.log" 2>&1 &
server=$!
until (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
    kill -0 "$server" 2>/dev/null || { echo "schemathesis.sh: the program ended before it listened:" >&2; cat "$work/serve.log" >&2; exit 1; }
    sleep 0.1
done

# `positive_data_acceptance` is left out: what a document can say of one parameter is checked, but not that `to` is not before
# `from`, that a step makes at most 2,000 buckets, or which environments are configured; such requests are refused with 400 or 422.
"$schemathesis" run "http://127.0.0.1:$port/openapi.json" \
    --header "Authorization: Bearer $TOKEN" \
    --phases examples,coverage,fuzzing --max-examples "$EXAMPLES" --seed 1 --generation-database none \
    --exclude-checks positive_data_acceptance \
    --request-timeout 20 --continue-on-failure --no-color

if grep -i panicked "$work/serve.log"; then
    echo "the program panicked on a request" >&2
    exit 1
fi
