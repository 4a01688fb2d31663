#!/usr/bin/env bash
# Prints the path of a Python interpreter that has what the independent readers
# of the tests need. Made once per set of requirements, in the user's cache.
set -euo pipefail

need() {
    command -v "$1" >/dev/null && return
    echo "python.sh: '$1' is missing. Install it (Debian: $2) or run \`make setup-test\`; SPRINGTIDE_TEST_SERVICES=none leaves these tests out." >&2
    exit 1
}
need python3 "python3 python3-venv"
need flock util-linux

requirements=("pyiceberg[sql-sqlite,pyarrow]==0.11.1")

cache="${XDG_CACHE_HOME:-$HOME/.cache}/springtide/services"
key="$(printf '%s\n' "${requirements[@]}" | sha256sum | cut -c1-12)"
venv="$cache/venv-$key"
mkdir -p "$cache"

exec 9>"$cache/venv.lock"
flock 9
if [[ ! -e "$venv/complete" ]]; then
    rm -rf "$venv"
    python3 -m venv "$venv" >&2
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
        "${requirements[@]}" >&2
    touch "$venv/complete"
fi
echo "$venv/bin/python"
