#!/usr/bin/env bash
# run.sh [TARGET…]: fuzzes each target, or those named, for FUZZ_SECONDS (60) seconds. What is found is kept apart from
# the corpus; a crash is written to artifacts/, and ends it. MAX_LEN (1500) bounds the inputs, in bytes.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo fuzz --version >/dev/null 2>&1 || { echo "cargo-fuzz is missing: cargo install cargo-fuzz --locked" >&2; exit 1; }

# Coverage needs compiler flags that stable Rust keeps for nightly; this asks for them all the same. The code that is
# fuzzed is what stable compiles.
export RUSTC_BOOTSTRAP=1
# A build of its own: cargo-fuzz adds its flags to these.
unset RUSTFLAGS
export CARGO_TARGET_DIR=${FUZZ_TARGET_DIR:-$PWD/fuzz/target}

(($#)) || set -- token header claims
for target; do
    found=$CARGO_TARGET_DIR/found/$target
    mkdir -p "$found"
    # No sanitizer: our code has no unsafe block, and what it calls in C is not instrumented.
    nice cargo fuzz run --sanitizer none "$target" "$found" "fuzz/corpus/$target" -- \
        -max_total_time="${FUZZ_SECONDS:-60}" -max_len="${MAX_LEN:-1500}" -timeout=20 -print_final_stats=1
done
