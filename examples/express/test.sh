#!/usr/bin/env bash
# The example in Express, as a browser sees it. Runs inside `testbed-cluster --`.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$here"
npm ci --loglevel=error >/dev/null
exec "$here/../test/run.sh" node "$here/app.js"
