#!/usr/bin/env bash
# docs/upgrading.md shows this: the databases of a server that have the extension, each with the version of its SQL.
set -euo pipefail

# ANCHOR: databases
psql -XAtc "select datname from pg_database where datallowconn and not datistemplate" postgres | while IFS= read -r database; do
    psql -XAtc "select current_database(), extversion from pg_extension where extname = 'workos_auth'" "$database" </dev/null
done
# ANCHOR_END: databases
