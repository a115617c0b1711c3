#!/usr/bin/env bash
# start.sh RUNNER: installs what the example in Flask needs, and has RUNNER start it: a script of examples/test, inside `testbed-cluster --`.
set -euo pipefail
runner=$(realpath "$1")
here=$(cd "$(dirname "$0")" && pwd)
cd "$here"
# The copy beside what was installed tells whether it still is what is wanted.
if ! cmp --silent requirements.txt .venv/requirements.txt; then
    python3 -m venv --clear .venv
    .venv/bin/pip install --quiet --disable-pip-version-check -r requirements.txt
    cp requirements.txt .venv/requirements.txt
fi
exec "$runner" "$here/.venv/bin/python" "$here/app.py"
