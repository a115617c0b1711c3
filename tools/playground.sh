#!/usr/bin/env bash
# A psql in a Postgres of its own, beside a stand-in for WorkOS: what docs/tutorial.md is tried in. All of it goes when psql ends.
# psql has the variables `workos`, the stand-in's address, and `root_key`, where a root key may be put.
set -euo pipefail
# shellcheck source=tools/env.sh
. "$(dirname "$0")/env.sh"
cd "$ROOT"

cargo build --quiet --release "${CRATES[@]}" --bin testbed-cluster
psql=$("$PG_CONFIG" --bindir)/psql
# The stand-in shows its login page.
# shellcheck disable=SC2016 # testbed-cluster sets the variables
TESTBED_INTERACTIVE=1 PSQL=$psql exec "$CARGO_TARGET_DIR/release/testbed-cluster" -- bash -c \
    'exec "$PSQL" --no-psqlrc --set=workos="$SIMULATOR_URL" --set=root_key="$ROOT_KEY_FILE" "$@"' psql "$@"
