#!/usr/bin/env bash
# The page of examples/browser in Debian's Chromium, against the gateway and the simulator's login page.
# Its screenshots are in target/screenshots afterwards.
set -euo pipefail
# shellcheck source=tools/env.sh
. "$(dirname "$0")/env.sh"
cd "$ROOT"

cargo build --quiet --release "${CRATES[@]}" --bin testbed-cluster --bin workos-auth-gateway

# Chromium writes into its home.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Found free and then used by the page: workos_auth.site_url is set before it starts.
port=$(node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close(); })')
export SITE_URL=http://127.0.0.1:$port SCREENSHOTS=$ROOT/target/screenshots TESTBED_INTERACTIVE=1
rm -rf "$SCREENSHOTS"
HOME=$work "$CARGO_TARGET_DIR/release/testbed-cluster" -- tools/with-gateway.sh node --test tests/browser/
echo "Screenshots:"
ls "$SCREENSHOTS"/*.png
