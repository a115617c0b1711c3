#!/usr/bin/env bash
# Runs steps of `make test` on several versions of Postgres, goes on after a failure, and ends with a table.
#
#   tools/test-versions.sh STEP…                    on every version that is here
#   VERSIONS="15 18" tools/test-versions.sh STEP…   on these, which are brought where they are missing
#
# The extension is built once a version, all else once.
set -euo pipefail
# shellcheck source=tools/env.sh
. "$(dirname "$0")/env.sh"
# The steps are told the version alone.
unset PG_CONFIG PG_MAJOR
cd "$ROOT"

read -ra majors <<<"${VERSIONS:-}"
if ((${#majors[@]} == 0)); then
    for major in $(printf '%s\n' "${PG_MAJORS[@]}" | sort -n); do
        if server_is_complete "$major"; then majors+=("$major"); fi
    done
fi
((${#majors[@]} > 0)) || fail "there is no Postgres here; tools/postgres.sh MAJOR brings one"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=()
for major in "${majors[@]}"; do
    heading "Postgres $major"
    touch "$work/$major"
    PG_MAJOR=$major STEP_RESULTS=$work/$major make --no-print-directory --keep-going setup-tests "$@" || failed+=("$major")
done

# result MAJOR STEP: what tools/run-step wrote last.
result() { tac "$work/$1" | sed -n "0,/^$2|/s/^$2|//p"; }

heading "Postgres by version"
{
    echo "step$(printf '|%s' "${majors[@]}")"
    for step in "$@"; do
        echo -n "$step"
        for major in "${majors[@]}"; do
            outcome=$(result "$major" "$step")
            echo -n "|${outcome:-not run}"
        done
        echo
    done
} | column -t -s '|'
((${#failed[@]} == 0)) || fail "FAILED on Postgres ${failed[*]}; just one step again: PG_MAJOR=${failed[0]} make STEP"
