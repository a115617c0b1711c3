#!/usr/bin/env bash
# Run by tools/test-packages.sh: the images' digests hold and their roots run, without a container engine. The commands, environments and
# init scripts are those of compose.yaml; the ports are free ones. Somebody signs in through gateway and stand-in, as a browser does.
set -euo pipefail
# shellcheck source=tools/env.sh
. "$(dirname "$0")/../../tools/env.sh"
cd "$ROOT"
exec python3 tests/packages/images.py "$CARGO_TARGET_DIR/packages/images" "${POSTGRES_BUILDS%/*}/roots"
