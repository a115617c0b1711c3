#!/usr/bin/env bash
# run.sh COMMAND ARGUMENT…: sets the database up, starts the app that COMMAND is, and runs app.test.js against it.
# Runs inside `testbed-cluster --`, which gives a cluster and a WorkOS simulator in the environment.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=examples/test/database.sh
. "$here/database.sh"

pids=()
work=$(mktemp -d)
finish() {
    local status=$?
    for pid in "${pids[@]}"; do
        kill "$pid" 2>/dev/null || continue
        wait "$pid" 2>/dev/null || true
    done
    ((status == 0)) || tail -n 50 "$work"/*.log >&2 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT

# start NAME PUBLIC_URL COMMAND…: sets `url` to the address that the app prints once it listens.
start() {
    local log=$work/$1.log
    : >"$log"
    PUBLIC_URL=$2 PORT=0 DATABASE_URL="postgres://app@$PGHOST:$PGPORT/$PGDATABASE" "${@:3}" >"$log" 2>&1 </dev/null &
    pids+=($!)
    for ((i = 0; i < 600; i++)); do
        url=$(grep -om1 'http://127\.0\.0\.1:[0-9]*$' "$log") && return
        kill -0 $! 2>/dev/null || break
        sleep 0.1
    done
    echo "the app does not listen: $*" >&2
    return 1
}

set_up

start https https://app.example.com "$@"
https_url=$url
start http '' "$@"

configure "$url"

APP_URL=$url APP_HTTPS_URL=$https_url APP_LOG=$work/http.log node --test "$here/app.test.js"
