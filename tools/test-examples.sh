#!/usr/bin/env bash
# Tests every example that has a start.sh, each beside a throw-away cluster and a simulator of its own; and that each example starts by
# one command.
set -euo pipefail
# shellcheck source=tools/env.sh
. "$(dirname "$0")/env.sh"
cd "$ROOT"

shopt -s nullglob
scripts=(examples/*/start.sh)
((${#scripts[@]} > 0)) || fail "there is no examples/*/start.sh"
cargo build --quiet --release "${CRATES[@]}" --bin testbed-cluster --bin workos-auth-gateway
for script in "${scripts[@]}"; do
    echo "-- ${script%/start.sh}"
    "$CARGO_TARGET_DIR/release/testbed-cluster" -- "$script" examples/test/run.sh
done

# free_port: found free and then used.
free_port() { node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close(); })'; }

# page URL: what a browser is shown there.
page() { node -e 'fetch(process.argv[1]).then(async (answer) => { process.exitCode = answer.ok ? 0 : 1; console.log(await answer.text()); }, () => process.exit(1))' "$1"; }

work=$(mktemp -d)
example=
finish() {
    # All that it has started is in its process group, as on a terminal.
    if [[ -n $example ]] && kill -- "-$example" 2>/dev/null; then wait "$example" 2>/dev/null || true; fi
    rm -rf "$work"
}
trap finish EXIT

for name in express psycopg tokio-postgres browser; do
    echo "-- make example EXAMPLE=$name"
    PORT=$(free_port) && export PORT
    setsid tools/example.sh "$name" >"$work/log" 2>&1 </dev/null &
    example=$!
    for ((i = 0; i < 1200; i++)); do
        page "http://127.0.0.1:$PORT/" >"$work/page" && break
        kill -0 "$example" 2>/dev/null || break
        sleep 0.1
    done
    grep -q "Acme" "$work/page" || { cat "$work/log" >&2; fail "examples/$name does not start by one command"; }
    kill -- "-$example"
    wait "$example" 2>/dev/null || true
    example=
done
[[ $(tools/example.sh none 2>&1) == *supabase/nextjs* ]] || fail "an unknown example is not answered with the list"
