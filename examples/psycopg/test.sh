#!/usr/bin/env bash
# The example in Flask, as a browser sees it. Runs inside `testbed-cluster --`.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$here"
# The copy beside what was installed tells whether it still is what is wanted.
if ! cmp --silent requirements.txt .venv/requirements.txt; then
    python3 -m venv --clear .venv
    .venv/bin/pip install --quiet --disable-pip-version-check -r requirements.txt
    cp requirements.txt .venv/requirements.txt
fi
exec "$here/../test/run.sh" "$here/.venv/bin/python" "$here/app.py"
