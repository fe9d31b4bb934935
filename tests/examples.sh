#!/usr/bin/env bash
# The worked examples of CONTRIBUTING.md: each patch applies to this tree by itself, and all of them together compile, tests included.
#
#   tests/examples.sh          what .ci/run runs
#   tests/examples.sh --test   runs the tests of core and of the local runner on the result, too
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

root=$PWD
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$root/target}"
# In the same place each time, and with what is built already: only our own packages are checked anew, and nothing piles up.
mkdir -p "$CARGO_TARGET_DIR"
CARGO_TARGET_DIR=$(cd "$CARGO_TARGET_DIR" && pwd)
copy=$CARGO_TARGET_DIR/examples-of-contributing
rm -rf "$copy"
mkdir "$copy"
trap 'rm -rf "$copy"' EXIT
git ls-files -z --cached --others --exclude-standard | tar --create --null --files-from=- --ignore-failed-read | tar --extract --directory="$copy"
cd "$copy"
git init --quiet

for patch in "$root"/docs/examples/*.patch; do
  git apply --check "$patch" || { echo "examples: ${patch#"$root"/} no longer applies; mend it" >&2; exit 1; }
done
git apply "$root"/docs/examples/*.patch

if [[ ${1:-} == --test ]]; then
  cargo test --package llm-monitor-core --package llm-monitor --lib
else
  cargo check --workspace --tests
fi
