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

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tools/extension-files.sh "$work"

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
# The control file last: what it names as the current version is there then.
for script in "$work"/*.sql; do
    put 644 "$script" "$extensions/${script##*/}"
done
put 644 "$work/workos_auth.control" "$extensions/workos_auth.control"
