#!/usr/bin/env bash
# The tests of Supabase's client for Kotlin. Runs inside tools/with-gateway.sh; tools/setup.sh --with-tests has brought the libraries.
set -euo pipefail
cd "$(dirname "$0")"

build=$PWD/.build
jars=$(printf '%s:' "$build"/lib/*.jar)
if [[ ! -d $build/classes || ClientTest.kt -nt $build/classes ]]; then
    rm -rf "$build/classes"
    java -cp "$jars" org.jetbrains.kotlin.cli.jvm.K2JVMCompiler -no-stdlib -no-reflect -nowarn -cp "$jars" -d "$build/classes" ClientTest.kt
fi
exec java -jar "$build"/lib/junit-platform-console-standalone-*.jar execute --disable-banner --details=tree --disable-ansi-colors \
    --class-path "$build/classes:$jars" --select-class ClientTest --fail-if-no-tests
