#!/usr/bin/env bash
# Installs what the tests start themselves (moto, an S3 server) below target/, once. Prints the folder.
set -euo pipefail
cd "$(dirname "$0")/.."

venv="${TEST_VENV:-target/test-venv/moto}"
wanted="$(cat tests/moto/requirements.txt)"
if [ "$(cat "$venv/installed" 2>/dev/null)" != "$wanted" ]; then
    python3 -m venv --clear "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r tests/moto/requirements.txt >&2
    printf '%s' "$wanted" >"$venv/installed"
fi
printf '%s\n' "$venv"
