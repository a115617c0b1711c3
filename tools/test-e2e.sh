#!/usr/bin/env bash
# The end-to-end tests, the demo's and the testbed's. With ONLY=name no more than the end-to-end tests whose path
# (folder::module::test) has this in it. They run against the extension that is installed in the Postgres of PG_CONFIG.
set -euo pipefail
# shellcheck source=tools/env.sh
. "$(dirname "$0")/env.sh"
cd "$ROOT"

tests=(cargo test --release "${CRATES[@]}")
# Tests wait for servers now and then: one more than there are processors keeps all of those busy.
export RUST_TEST_THREADS=${RUST_TEST_THREADS:-$(($(nproc) + 1))}
read -ra left_out <<<"$(left_out)"

if [[ -n ${ONLY:-} ]]; then
    # libtest is content where no test has such a name.
    found=$("${tests[@]}" --quiet --test all -- --list "$ONLY")
    [[ $found == *": test"* ]] || fail "no end-to-end test has $ONLY in its path"
    exec "${tests[@]}" --test all -- "$ONLY" "${left_out[@]}"
fi

# What people and backends do under the SQL of an older release: sign-in, refresh, sign-out, readers, policies.
under_old_sql=(sign_in::whole_flow sign_in::callback:: sign_in::brokers sessions::refresh:: sessions::expiry sessions::revocation
    tokens::claims:: tokens::own_tokens tokens::visitor_tokens policies::rls_identity policies::as_user policies::visitors accounts::linking::)

# The demo's test starts the gateway as it was built.
cargo build --quiet --release "${CRATES[@]}" --bin workos-auth-gateway
all() {
    "${tests[@]}" --test testbed --test tour --test all -- "${left_out[@]}"
    for version in $(older_versions); do
        heading "The same library under the SQL of $version"
        WORKOS_AUTH_SQL_VERSION=$version "${tests[@]}" --test all -- "${under_old_sql[@]}" "${left_out[@]}"
    done
}
# Each program closes with a line of its own; the last line is the sum of them.
all 2>&1 | awk '
    { print; fflush() }
    /^test result:/ { programs++; passed += $4; failed += $6; ignored += $8 }
    END { printf "%d programs: %d passed; %d failed; %d ignored\n", programs, passed, failed, ignored }'
