#!/usr/bin/env bash
# The gateway's tests, but for those of its modules. Those of what clients ask for, and of a database in trouble, are then run once more, through PgBouncer in
# transaction mode. Those of sign-ins are run a third time, by a gateway that asks WorkOS itself, and once more under the SQL of each older release.
# With ONLY=name no more than the tests whose path (folder::module::test) has this in it. They run against the extension that is
# installed in the Postgres of PG_CONFIG.
set -euo pipefail
# shellcheck source=tools/env.sh
. "$(dirname "$0")/env.sh"
cd "$ROOT"

tests=(cargo test --release "${CRATES[@]}" --test gateway)

if [[ -n ${ONLY:-} ]]; then
    # libtest is content where no test has such a name.
    found=$("${tests[@]}" --quiet -- --list "$ONLY")
    [[ $found == *": test"* ]] || fail "no test of the gateway has $ONLY in its path"
    exec "${tests[@]}" -- "$ONLY"
fi

"${tests[@]}"
heading "The same through PgBouncer"
GATEWAY_TESTS_THROUGH=pgbouncer "${tests[@]}" -- sign_in:: requests:: serving::operation serving::limits \
    database::sign_ins database::asking database::refusals database::trouble
heading "The same where the gateway asks WorkOS"
GATEWAY_TESTS_WORKOS_BY=gateway "${tests[@]}" -- sign_in:: requests::
for version in $(older_versions); do
    heading "The same under the SQL of $version"
    WORKOS_AUTH_SQL_VERSION=$version "${tests[@]}" -- sign_in::flows sign_in::linking serving::operation::readiness
done
