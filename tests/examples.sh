#!/usr/bin/env bash
# The worked examples of CONTRIBUTING.md: each patch applies to this tree by itself, and all of them together compile, tests included.
#
#   tests/examples.sh          what .ci/run runs
#   tests/examples.sh --test   runs the tests of core on the result, too
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

root=$PWD
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
git ls-files -z --cached --others --exclude-standard | tar --create --null --files-from=- --ignore-failed-read | tar --extract --directory="$copy"
cd "$copy"
git init --quiet

for patch in "$root"/docs/examples/*.patch; do
  git apply --check "$patch" || { echo "examples: ${patch#"$root"/} no longer applies; mend it" >&2; exit 1; }
done
git apply "$root"/docs/examples/*.patch

export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$root/target}"
if [[ ${1:-} == --test ]]; then
  cargo test --package llm-monitor-core --lib
else
  cargo check --package llm-monitor-core --tests
fi
