#!/usr/bin/env bash
# serve.sh COMMAND ARGUMENT…: sets the database up, and becomes the app that COMMAND is, at PORT. Runs inside `testbed-cluster --`.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=examples/test/database.sh
. "$here/database.sh"

set_up
configure "http://127.0.0.1:$PORT"
DATABASE_URL="postgres://app@$PGHOST:$PGPORT/$PGDATABASE" exec "$@"
