#!/usr/bin/env bash
# The example in Express, as a browser sees it. Runs inside `testbed-cluster --`.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$here"
# npm writes the second file when it is done.
[[ -f node_modules/.package-lock.json && ! package-lock.json -nt node_modules/.package-lock.json ]] ||
    npm ci --loglevel=error >/dev/null
exec "$here/../test/run.sh" node "$here/app.js"
