#!/usr/bin/env bash
# What a release stands on, as far as it is quickly seen.
set -euo pipefail
# shellcheck source=tools/env.sh
. "$(dirname "$0")/env.sh"
cd "$ROOT"

python3 tools/version_test.py
tools/version.py --check
packaging/components.py check
