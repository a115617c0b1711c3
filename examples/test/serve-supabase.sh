#!/usr/bin/env bash
# serve-supabase.sh NAME: becomes the example of that name, at PORT. Runs inside `tools/with-gateway.sh`, which gives the gateway.
set -euo pipefail
cd "$(dirname "$0")/../$1"

export SUPABASE_URL=${GATEWAY_URL%/auth/v1} SUPABASE_KEY=any HOST=127.0.0.1 ORIGIN=$SITE_URL NODE_ENV=production
echo "$SITE_URL"
exec npm --silent start
