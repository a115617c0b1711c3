#!/usr/bin/env bash
# SQL in, SQL out: runs sql/*.sql with Postgres's own pg_regress against a throw-away cluster and a simulator, each
# file in a fresh database, and compares what psql prints with expected/*.out.
#
#   tests/pg_regress/run.sh                 all files, in the order of their names
#   tests/pg_regress/run.sh 020_setup …     only these
#   tests/pg_regress/run.sh --update …      takes what came out for what is expected
#
# A file finds the environment variables that `testbed-cluster` sets, for example with `\getenv url SIMULATOR_URL`.
# What it prints must not depend on ports and paths.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tools/env.sh
. "$here/../../tools/env.sh"
cd "$here"

DATABASE=contrib_regression

# pg_regress lets this script launch psql: a file starts in a database that no other file has touched.
if [[ ${1:-} == --launch ]]; then
    shift
    "$(dirname "$1")/dropdb" --force --if-exists "$DATABASE" 2>/dev/null
    "$(dirname "$1")/createdb" --template template0 "$DATABASE"
    # Where in our source an error was raised is nobody's to rely on.
    "$@" 2>&1 | sed '/^LOCATION:  /d'
    exit "${PIPESTATUS[0]}"
fi

update=no
if [[ ${1:-} == --update ]]; then update=yes && shift; fi

if (($# > 0)); then
    tests=("$@")
else
    shopt -s nullglob
    tests=(sql/*.sql)
    tests=("${tests[@]#sql/}")
    tests=("${tests[@]%.sql}")
fi
((${#tests[@]} > 0)) || fail "there is no file in tests/pg_regress/sql"

pg_regress=$("$PG_CONFIG" --pkglibdir)/pgxs/src/test/regress/pg_regress
[[ -x $pg_regress ]] || fail "there is no $pg_regress; run tools/setup.sh"

# pg_regress wants a file to compare with: a new test is compared with nothing, and its output shown.
for test in "${tests[@]}"; do
    [[ -f sql/$test.sql ]] || fail "there is no tests/pg_regress/sql/$test.sql"
    [[ -f expected/$test.out || $update == yes ]] || fail "there is no expected/$test.out; look at what comes out with --update"
    [[ -f expected/$test.out ]] || : >"expected/$test.out"
done

cargo build --quiet --release --manifest-path "$ROOT/Cargo.toml" "${CRATES[@]}" --bin testbed-cluster
rm -rf results regression.diffs regression.out
status=0
"$CARGO_TARGET_DIR/release/testbed-cluster" -- \
    "$pg_regress" --bindir="$("$PG_CONFIG" --bindir)" --launcher="$here/run.sh --launch" \
    --inputdir=. --outputdir=. --dbname="$DATABASE" "${tests[@]}" || status=$?

if [[ $update == yes ]]; then
    for test in "${tests[@]}"; do cp "results/$test.out" "expected/$test.out"; done
    echo "updated expected/ for: ${tests[*]}"
    exit 0
fi
if ((status != 0)) && [[ -f regression.diffs ]]; then
    cat regression.diffs
fi
exit "$status"
