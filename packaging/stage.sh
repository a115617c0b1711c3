#!/usr/bin/env bash
# Builds what is shipped, with the profile dist, and lays it out for the scripts that make packages of it.
#
#   packaging/stage.sh extension   the extension for PG_MAJOR   → target/packages/stage/extension-MAJOR/{lib,extension,doc}
#   packaging/stage.sh programs    the programs, with man pages → target/packages/stage/programs/{bin,man,doc}
#
# The same commit gives the same bytes, in whatever folder. PROFILE=release is quicker, for whoever works on the packaging: larger files,
# in which this machine's paths are.
set -euo pipefail
# shellcheck source=tools/env.sh
. "$(dirname "$0")/../tools/env.sh"
# shellcheck source=packaging/epoch.sh
. "$(dirname "$0")/epoch.sh"
cd "$ROOT"

stage=$CARGO_TARGET_DIR/packages/stage
export PROFILE=${PROFILE:-dist}

# notices FOLDER PACKAGE…: our licence, and those of what is linked in.
notices() {
    local folder=$1
    shift
    install -D -m 644 LICENSE "$folder/LICENSE"
    packaging/components.py third-party "$@" >"$folder/THIRD-PARTY"
}

# man_page SECTION PROGRAM WHAT: from its --help.
man_page() {
    install -d "$stage/programs/man"
    help2man --section="$1" --no-info --name="$3" "$stage/programs/bin/$2" >"$stage/programs/man/$2.$1"
}

case ${1:-} in
    extension)
        rm -rf "$stage/extension-$PG_MAJOR"
        tools/install.sh "$stage/extension-$PG_MAJOR/lib" "$stage/extension-$PG_MAJOR/extension"
        notices "$stage/extension-$PG_MAJOR/doc" workos_auth
        ;;
    programs)
        command -v help2man >/dev/null || fail "there is no help2man; tools/setup.sh --with-packaging installs it"
        [[ $PROFILE != dist ]] || leave_out_this_machine
        # One choice of packages: their dependencies have the same features in each.
        env -u SOURCE_DATE_EPOCH cargo build --profile "$PROFILE" -p workos_auth_gateway -p workos_simulator -p workos_demo
        rm -rf "$stage/programs"
        install -D -m 755 "$CARGO_TARGET_DIR/$PROFILE/workos-auth-gateway" "$stage/programs/bin/workos-auth-gateway"
        install -m 755 "$CARGO_TARGET_DIR/$PROFILE/workos-simulator" "$stage/programs/bin/workos-simulator"
        install -m 755 "$CARGO_TARGET_DIR/$PROFILE/workos_demo" "$stage/programs/bin/workos-auth-demo"
        man_page 8 workos-auth-gateway "serve Supabase's /auth/v1 from a database that has workos_auth"
        man_page 1 workos-simulator "stand in for WorkOS's API, for tests"
        man_page 1 workos-auth-demo "sign two people in with WorkOS, in a throw-away Postgres"
        notices "$stage/programs/doc/gateway" workos_auth_gateway
        notices "$stage/programs/doc/simulator" workos_simulator workos_demo
        ;;
    *) fail "usage: packaging/stage.sh extension|programs" ;;
esac
