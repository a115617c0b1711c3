#!/usr/bin/env bash
# The example in Flask, as a browser sees it. Runs inside `testbed-cluster --`.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
python3 -m venv "$here/.venv"
"$here/.venv/bin/pip" install --quiet --disable-pip-version-check --no-deps -r "$here/requirements.txt"
exec "$here/../test/run.sh" "$here/.venv/bin/python" "$here/app.py"
