#!/usr/bin/env bash
# headers.sh MAJOR: brings the headers of a Postgres, without a server, and prints the path of a pg_config that knows them. They come from
# Debian's packages: of this machine's release, else of the first newer one that has them. Compiling the extension needs no more.
set -euo pipefail
# shellcheck source=tools/env.sh
. "$(dirname "$0")/../tools/env.sh"

major=${1:-}
[[ $major != *[^0-9]* && " ${PG_MAJORS[*]} " == *" $major "* ]] || fail "usage: packaging/headers.sh MAJOR; the majors are ${PG_MAJORS[*]}"
folder=${POSTGRES_BUILDS%/*}/headers/$major
config=$folder/bin/pg_config
if [[ -x $config ]]; then echo "$config" && exit; fi

# shellcheck disable=SC2016 # apt's own variables
mirror=$(apt-get indextargets --format '$(LABEL) $(REPO_URI)' 'Created-By: Packages' | sed -n 's/^Debian //p' | head -n 1)
[[ -n $mirror ]] || fail "headers: this machine's apt knows no mirror of Debian"
mkdir -p "${folder%/*}"
work=$(mktemp -d "${folder%/*}/making.XXXXXX")
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"

for suite in bookworm trixie forky sid; do
    apt=$work/$suite
    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
    echo "deb $mirror $suite main" >"$apt/sources.list"
    # The lists are of its own; the machine's stay as they are. A mirror that stands still has lists past their date, which are signed all the same.
    options=(-qq -o "Dir::Etc::SourceList=$apt/sources.list" -o Dir::Etc::SourceParts=/dev/null -o "Dir::State::Lists=$apt/lists"
        -o "Dir::Cache=$apt/cache" -o Debug::NoLocking=true -o Acquire::Check-Valid-Until=false -o APT::Sandbox::User=root)
    apt-get "${options[@]}" update >/dev/null 2>&1 || continue
    (cd "$apt" && apt-get "${options[@]}" download "postgresql-server-dev-$major" >/dev/null 2>&1) || continue
    package=$(echo "$apt"/postgresql-server-dev-"$major"_*.deb)
    dpkg-deb --extract "$package" "$work/root"
    version=$(dpkg-deb --field "$package" Version)
    break
done
[[ -n ${version:-} ]] || fail "headers: Debian has no postgresql-server-dev-$major. PGDG has; MAJORS of a release may leave $major out"

# Debian's own pg_config may be for a newer C library, and would look for the headers where they are not.
mkdir "$work/root/bin"
cat >"$work/root/bin/pg_config" <<SHIM
#!/bin/sh
case "\${1:-}" in
    --version) echo "PostgreSQL ${version%%[-+~]*}" ;;
    --bindir) echo /usr/lib/postgresql/$major/bin ;;
    --includedir) echo $folder/usr/include/postgresql ;;
    --pkgincludedir) echo $folder/usr/include/postgresql ;;
    --includedir-server) echo $folder/usr/include/postgresql/$major/server ;;
    --libdir) echo /usr/lib/$(uname -m)-linux-gnu ;;
    --pkglibdir) echo /usr/lib/postgresql/$major/lib ;;
    --sharedir) echo /usr/share/postgresql/$major ;;
    --cppflags) echo -D_GNU_SOURCE ;;
    *) echo "pg_config: these are headers alone, which do not say \${1:-that}" >&2; exit 1 ;;
esac
SHIM
chmod 755 "$work/root/bin/pg_config"
mv "$work/root" "$folder"
echo "$config"
