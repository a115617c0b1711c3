#!/usr/bin/env bash
# start.sh RUNNER: installs what the example in Express needs, and has RUNNER start it: a script of examples/test, inside `testbed-cluster --`.
set -euo pipefail
runner=$(realpath "$1")
here=$(cd "$(dirname "$0")" && pwd)
cd "$here"
# npm writes the second file when it is done.
[[ -f node_modules/.package-lock.json && ! package-lock.json -nt node_modules/.package-lock.json ]] ||
    npm ci --loglevel=error >/dev/null
exec "$runner" node "$here/app.js"
