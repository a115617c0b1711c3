# shellcheck shell=bash
# Sourced, after env.sh, by the scripts that install the packages of Debian and Ubuntu.

say() { printf 'setup: %s\n' "$*"; }

as_root() { if ((EUID == 0)); then "$@"; else sudo "$@"; fi; }

# What apt-get has to say matters only when it fails.
apt() {
    local output
    output=$(as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 "$@" 2>&1 </dev/null) && return
    printf '%s\n' "$output" >&2
    return 1
}

# The package lists are fetched at most once, and only if something is to be installed.
lists_are_fresh=no
refresh_lists() {
    [[ $lists_are_fresh == yes ]] && return
    command -v apt-get >/dev/null || fail "setup: this machine has no apt-get; install by hand what the line above names"
    apt update || fail "setup: apt-get update failed; is there a way to the package mirror?"
    lists_are_fresh=yes
}

# need PACKAGE… -- WHY: installs them.
need() {
    local packages=()
    while [[ $1 != -- ]]; do packages+=("$1") && shift; done
    shift
    say "installing ${packages[*]}: $*"
    ((EUID == 0)) || command -v sudo >/dev/null ||
        fail "setup: that needs root, and there is no sudo here; run as root, once: apt-get install ${packages[*]}"
    refresh_lists
    apt install -y --no-install-recommends "${packages[@]}" ||
        fail "setup: apt-get could not install them; try: apt-get install ${packages[*]}"
}

has_candidate() { [[ -n $(apt-cache policy "$1" 2>/dev/null | sed -n 's/^ *Candidate: \([^(].*\)/\1/p') ]]; }

is_offered() {
    has_candidate "$1" && return
    # A machine that has never fetched the lists offers nothing.
    refresh_lists
    has_candidate "$1"
}
