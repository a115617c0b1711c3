#!/usr/bin/env bash
# Builds the extension and copies it into the Postgres of PG_CONFIG, through sudo where this user may not.
# PROFILE is the profile of Cargo.toml that it is built with: release, unless it says another.
set -euo pipefail
# shellcheck source=tools/env.sh
. "$(dirname "$0")/env.sh"
cd "$ROOT"

arguments=(--profile "${PROFILE:-release}" --package workos_auth --pg-config "$PG_CONFIG")
[[ -w $("$PG_CONFIG" --pkglibdir) && -w $("$PG_CONFIG" --sharedir)/extension ]] || arguments+=(--sudo)
# cargo-pgrx writes colours into files too.
if [[ -n $bold ]]; then
    cargo pgrx install "${arguments[@]}"
else
    cargo pgrx install "${arguments[@]}" 2>&1 | sed $'s/\e\\[[0-9;]*m//g'
fi
