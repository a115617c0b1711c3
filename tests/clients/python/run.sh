#!/usr/bin/env bash
# The tests of Supabase's client for Python. Runs inside tools/with-gateway.sh; tools/setup.sh --with-tests has made .venv.
set -euo pipefail
cd "$(dirname "$0")"
exec .venv/bin/python client_test.py
