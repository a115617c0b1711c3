#!/usr/bin/env bash
# install-example.sh NAME: the packages of examples/NAME, where they are missing or older than the lockfile, and its build.
set -euo pipefail
# shellcheck source=tools/env.sh
. "$(dirname "$0")/env.sh"
cd "$ROOT/examples/$1"

# Nothing is told to anybody.
export NEXT_TELEMETRY_DISABLED=1 ASTRO_TELEMETRY_DISABLED=1 DO_NOT_TRACK=1 npm_config_update_notifier=false
# npm writes the second file when it is done. Supabase's client asks for Node 22 and runs with 20: npm may warn.
if [[ ! -f node_modules/.package-lock.json || package-lock.json -nt node_modules/.package-lock.json ]]; then
    npm ci --no-audit --no-fund --loglevel=error >/dev/null
    # npm keeps an old time where nothing changed.
    touch node_modules/.package-lock.json
fi
log=$(npm run --if-present build 2>&1 </dev/null) || { printf '%s\n' "$log" >&2; exit 1; }
