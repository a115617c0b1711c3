#!/usr/bin/env bash
# Every client in its turn. Runs inside tools/with-gateway.sh.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
for client in python kotlin; do
    echo "-- $client"
    "$here/$client/run.sh"
done
