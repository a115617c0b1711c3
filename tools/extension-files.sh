#!/usr/bin/env bash
# extension-files.sh DIRECTORY
# Writes what Postgres reads of the extension, but the library, into a directory: the control file, the install script and the update script
# of the current version, and those of every release. `make install` and the packages take them from there. The same bytes in each run.
#
# The install script is sql/*.sql in the order of the names. An update script is put together of
#
#   1. what refuses an extension that is not as A installed it, before anything is changed
#   2. sql/updates/workos_auth--A--B.sql: what becomes of tables, types, triggers and policies, by hand
#   3. sql/2* to sql/8*: every function, procedure and view, made anew in its place. A function that another version had with these arguments keeps its
#      rights; so no function is dropped, and none changes its arguments
#   4. every comment that is a statement of its own and that A had not. A comment on a table waits for VACUUM there, and VACUUM for it
#   5. sql/99_epilogue.sql
#
# What is in sql/released is never changed: tools/release-sql.sh puts it there.
set -euo pipefail
# shellcheck source=tools/env.sh
. "$(dirname "$0")/env.sh"
cd "$ROOT"

[[ $# == 1 && -d $1 ]] || fail "usage: tools/extension-files.sh DIRECTORY"
target=$1
version=$(cargo pkgid -p workos_auth)
version=${version##*[#@]}
export LC_ALL=C
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# comments FILE…: every comment that is a statement of its own, one a line, with \001 for the ends of its lines.
comments() { awk '/^COMMENT ON /, /;$/ { printf "%s%s", $0, /;$/ ? "\n" : "\001" }' "$@"; }

# update BODY: the whole update script.
update() {
    local name from
    name=$(basename "$1" .sql)
    from=${name#workos_auth--}
    from=${from%--*}
    # shellcheck disable=SC2016,SC2028 # psql's words, and SQL's
    echo '\echo Use "ALTER EXTENSION workos_auth UPDATE" to load this file. \quit'
    cat <<SQL

-- The update from $from to $version, put together by tools/extension-files.sh.

-- Until the end of this script: what Postgres prints, and how it reads strings, is the same for everybody.
SET LOCAL quote_all_identifiers = off;
SET LOCAL standard_conforming_strings = on;

-- The end of this script takes what is there for what was installed. What somebody changed or dropped would no longer be a finding then, so
-- it is restored first. What somebody attached to a table stays, and stays a finding.
DO \$unchanged\$
DECLARE
    differences text;
    attached jsonb;
BEGIN
    SELECT pg_catalog.string_agg(pg_catalog.format('The %s %s %s.', d.kind, d.identity,
            CASE d.difference WHEN 'gone' THEN 'is gone' ELSE 'was changed: its ' || d.what END), ' ' ORDER BY d.kind, d.identity)
            FILTER (WHERE d.difference <> 'attached'),
        pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(d.kind, d.identity)) FILTER (WHERE d.difference = 'attached')
    INTO differences, attached FROM auth.check_differences() AS d;
    IF differences IS NOT NULL THEN
        RAISE EXCEPTION 'the extension is not as it was installed, and an update would hide that'
            USING ERRCODE = 'WA122',
                  DETAIL = differences,
                  HINT = 'select * from auth.check() tells of each, with the statement that restores it. Run these, and update then.';
    END IF;
    PERFORM pg_catalog.set_config('workos_auth_update.attached', coalesce(attached::text, ''), true);
END
\$unchanged\$;

-- What auth.rights() said before, and what the extension consisted of, for the end of this script.
DO \$before\$
BEGIN
    PERFORM pg_catalog.set_config('workos_auth_update.rights',
        (SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(r))::text FROM auth.rights() AS r), true);
    PERFORM pg_catalog.set_config('workos_auth_update.members', (
        SELECT pg_catalog.array_agg(d.objid)::text
        FROM pg_catalog.pg_depend AS d JOIN pg_catalog.pg_extension AS e ON e.oid = d.refobjid
        WHERE e.extname = 'workos_auth' AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.deptype = 'e'), true);
END
\$before\$;

SQL
    cat "$1"
    echo
    awk '/^COMMENT ON /, /;$/ { next } { print }' sql/[2-8][0-9]_*.sql | sed 's/^CREATE \(FUNCTION\|PROCEDURE\|VIEW\) /CREATE OR REPLACE \1 /'
    echo
    echo "-- The comments that $from had not."
    [[ -f sql/released/workos_auth--$from.sql ]] || fail "$1: sql/released has no workos_auth--$from.sql"
    comments "sql/released/workos_auth--$from.sql" >"$work/comments"
    comments sql/[1-9][0-9]_*.sql | { grep --fixed-strings --line-regexp --invert-match --file="$work/comments" || true; } | tr '\001' '\n'
    echo
    sed "s/'CREATE FUNCTION /'CREATE OR REPLACE FUNCTION /" sql/99_epilogue.sql
}

sed "s/@CARGO_VERSION@/$version/" workos_auth.control >"$target/workos_auth.control"
cat sql/[0-9][0-9]_*.sql >"$target/workos_auth--$version.sql"
for body in sql/updates/*--"$version".sql; do
    [[ ! -f $body ]] || update "$body" >"$target/$(basename "$body")"
done
for released in sql/released/*.sql; do
    made=$target/${released##*/}
    [[ ! -f $made ]] || cmp --silent "$made" "$released" ||
        fail "$released is released and stays as it is: raise the version in Cargo.toml before sql/ changes"
    [[ ! -f $released ]] || cp "$released" "$made"
done
