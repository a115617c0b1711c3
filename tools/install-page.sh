#!/usr/bin/env bash
# The packages of examples/browser, where npm is there and they are missing or older than the lockfile. The demo goes
# on without the page otherwise, and says so.
set -euo pipefail
# shellcheck source=tools/env.sh
. "$(dirname "$0")/env.sh"
cd "$ROOT/examples/browser"

[[ -f node_modules/.package-lock.json && ! package-lock.json -nt node_modules/.package-lock.json ]] && exit 0
command -v npm >/dev/null || { echo "There is no npm here: the demo has no page. make setup-tests installs it."; exit 0; }
if npm ci --no-audit --no-fund --loglevel=error >/dev/null; then
    # npm keeps an old time where nothing changed.
    touch node_modules/.package-lock.json
else
    echo "npm ci failed: the demo has no page. Try: cd examples/browser && npm ci"
fi
