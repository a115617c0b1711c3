#!/usr/bin/env bash
# Builds the extension and copies it into the Postgres of PG_CONFIG, through sudo where this user may not.
# PROFILE is the profile of Cargo.toml that it is built with: release, unless it says another.
#
#   tools/install.sh                          into the directories that PG_CONFIG names, below DESTDIR where that is set
#   tools/install.sh LIBRARIES EXTENSIONS     into these two, for a package
set -euo pipefail
# shellcheck source=tools/env.sh
. "$(dirname "$0")/env.sh"
cd "$ROOT"

profile=${PROFILE:-release}
[[ $profile != dist ]] || leave_out_this_machine
# The time of packages is no business of the compiler's, which would compile C anew for each.
env -u SOURCE_DATE_EPOCH cargo build --profile "$profile" -p workos_auth "${PG_FEATURES[@]}"
version=$(cargo pkgid -p workos_auth)
version=${version##*[#@]}

# The install script is sql/*.sql in the order of the names.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
sed "s/@CARGO_VERSION@/$version/" workos_auth.control >"$work/workos_auth.control"
cat sql/[0-9][0-9]_*.sql >"$work/workos_auth--$version.sql"

libraries=${1:-${DESTDIR:-}$("$PG_CONFIG" --pkglibdir)}
extensions=${2:-${DESTDIR:-}$("$PG_CONFIG" --sharedir)/extension}
[[ -d $libraries ]] || install -d "$libraries"
[[ -d $extensions ]] || install -d "$extensions"

# put MODE FILE TARGET. To another name first: a backend that has the old library loaded keeps it, and nobody finds half a file.
put() {
    local as=()
    [[ -w ${3%/*} ]] || as=(sudo)
    echo "   $3"
    "${as[@]}" install -m "$1" "$2" "$3.new"
    "${as[@]}" mv -f "$3.new" "$3"
}
put 755 "$CARGO_TARGET_DIR/$profile/libworkos_auth.so" "$libraries/workos_auth.so"
put 644 "$work/workos_auth--$version.sql" "$extensions/workos_auth--$version.sql"
put 644 "$work/workos_auth.control" "$extensions/workos_auth.control"
