# shellcheck shell=bash
# Sourced, after env.sh, by what must give the same bytes whenever it is run: the time of everything is that of the commit.
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$ROOT" log -1 --format=%ct)}
export LC_ALL=C.UTF-8 TZ=UTC
umask 022
