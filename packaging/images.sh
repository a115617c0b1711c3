#!/usr/bin/env bash
# make images: OCI images in target/packages/images, made of the Debian packages of `make deb`, without a daemon.
#
#   workos-auth-postgres-MAJOR.oci.tar      Debian with Postgres and the extension, for each MAJOR that Debian's release has
#   workos-auth-gateway.oci.tar             the gateway, the C library and the certificate authorities
#   workos-auth-extension-18.oci.tar        the extension alone, as CloudNativePG mounts it (extension_control_path)
#
# For the same commit and the same state of Debian's mirror each has the same digest, which digests.txt names.
# SUITE is the release of Debian that the server comes from: bookworm with 15, unless it says another.
set -euo pipefail
# shellcheck source=tools/env.sh
. "$(dirname "$0")/../tools/env.sh"
# shellcheck source=packaging/epoch.sh
. "$(dirname "$0")/epoch.sh"
cd "$ROOT"

((EUID == 0)) || fail "images: a system of Debian is made as root"
command -v mmdebstrap >/dev/null || fail "there is no mmdebstrap; tools/setup.sh --with-packaging installs it"
suite=${SUITE:-bookworm}
case $suite in
    bookworm) major=15 ;;
    trixie) major=17 ;;
    *) fail "images: which Postgres has $suite?" ;;
esac
packages=$CARGO_TARGET_DIR/packages
images=$packages/images
debian=$(tools/version.py --debian-version)_$(dpkg --print-architecture)
version=$(tools/version.py)
work=$(mktemp -d "/var/tmp/workos-images.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$images"
: >"$images/digests.txt"

deb() {
    local file=$packages/deb/$1_$debian.deb
    [[ -f $file ]] || fail "images: $file is not there: make deb"
    echo "$file"
}

# image NAME ROOT CONFIG TAG
image() {
    local digest
    digest=$(packaging/images/layout.py "$2" "$images/$1.oci.tar" "$3" "${1%-[0-9]*}:$4")
    echo "$1 $digest" >>"$images/digests.txt"
    echo "   $images/$1.oci.tar $digest"
}

# labels TITLE [MORE]: members of the labels.
labels() {
    printf '"org.opencontainers.image.title": "%s", "org.opencontainers.image.version": "%s", "org.opencontainers.image.licenses": "PostgreSQL", "org.opencontainers.image.revision": "%s"%s' \
        "$1" "$version" "$(git rev-parse HEAD)" "${2:-}"
}

# --- A server.

server=$work/server
mkdir "$server"
extension=$(deb "postgresql-$major-workos-auth")
# Postgres's package makes no cluster: the entry point does.
# shellcheck disable=SC2016 # mmdebstrap's own variable
mmdebstrap --quiet --variant=minbase --include="postgresql-$major,ca-certificates" \
    --essential-hook='mkdir -p "$1/etc/postgresql-common"; echo "create_main_cluster = false" >"$1/etc/postgresql-common/createcluster.conf"' \
    --customize-hook="copy-in $extension /tmp" \
    --customize-hook='chroot "$1" sh -c "dpkg --install /tmp/*.deb >/dev/null && rm /tmp/*.deb"' \
    --customize-hook='rm -rf "$1"/var/log/* "$1"/var/cache/* "$1"/var/lib/apt/lists/* "$1/etc/machine-id" "$1/etc/hostname" "$1/etc/resolv.conf" "$1"/etc/ssl/private/* "$1"/etc/ssl/certs/ssl-cert-snakeoil.pem' \
    "$suite" "$work/server.tar"
tar -xf "$work/server.tar" -C "$server" --exclude='./dev/*'
# Some certificates' links are named in the order they were found in, and old copies of lists name the time they were written.
rm -f "$server"/var/lib/dpkg/*-old "$server"/etc/*- "$server"/var/lib/systemd/catalog/database
install -m 755 packaging/images/entrypoint.sh "$server/usr/local/bin/workos-auth-postgres"
mkdir -p "$server/docker-entrypoint-initdb.d" "$server/var/lib/workos_auth"
install -d -m 700 "$server/var/lib/postgresql/data" "$server/var/lib/workos_auth"
chroot "$server" chown postgres: /var/lib/postgresql/data /var/lib/workos_auth
image "workos-auth-postgres-$major" "$server" "{
    \"Entrypoint\": [\"workos-auth-postgres\"], \"Cmd\": [\"postgres\"],
    \"Env\": [\"PATH=/usr/lib/postgresql/$major/bin:/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin\", \"LANG=C.UTF-8\", \"PGDATA=/var/lib/postgresql/data\", \"ROOT_KEY_FILE=/var/lib/workos_auth/root.key\"],
    \"ExposedPorts\": {\"5432/tcp\": {}}, \"Volumes\": {\"/var/lib/postgresql/data\": {}, \"/var/lib/workos_auth\": {}}, \"StopSignal\": \"SIGINT\",
    \"Labels\": {$(labels "PostgreSQL $major with workos_auth")}}" "$version-$major-$suite"

# --- The gateway, with nothing that it does not need.

gateway=$work/gateway
mkdir -p "$gateway"/{etc/ssl/certs,usr/share/doc,tmp}
dpkg-deb --extract "$(deb workos-auth-gateway)" "$work/gateway-package"
dpkg-deb --extract "$(deb workos-auth-simulator)" "$work/simulator-package"
install -D -m 755 "$work/gateway-package/usr/bin/workos-auth-gateway" "$gateway/usr/bin/workos-auth-gateway"
# The simulator listens on loopback alone: it is there for compose.yaml, which has both in one network.
install -D -m 755 "$work/simulator-package/usr/bin/workos-simulator" "$gateway/usr/bin/workos-simulator"
cp -r "$work/gateway-package/usr/share/doc/workos-auth-gateway" "$work/simulator-package/usr/share/doc/workos-auth-simulator" "$gateway/usr/share/doc/"
loader=$(readelf --program-headers "$gateway/usr/bin/workos-auth-gateway" | sed -n 's/.*program interpreter: \(.*\)\]/\1/p')
multiarch=$(dpkg-architecture --query DEB_HOST_MULTIARCH)
install -d "$gateway/lib/$multiarch" "$gateway/${loader%/*}"
for library in libc.so.6 libm.so.6 libgcc_s.so.1 libnss_dns.so.2 libnss_files.so.2 libresolv.so.2 libpthread.so.0 libdl.so.2; do
    install -m 755 "$(readlink -f "$server/lib/$multiarch/$library")" "$gateway/lib/$multiarch/$library"
done
install -m 755 "$(readlink -f "$server/$loader")" "$gateway/$loader"
for package in libc6 libgcc-s1 ca-certificates; do
    install -D -m 644 "$(readlink -f "$server/usr/share/doc/$package/copyright")" "$gateway/usr/share/doc/$package/copyright"
done
install -m 644 "$server/etc/ssl/certs/ca-certificates.crt" "$gateway/etc/ssl/certs/"
echo "workos-auth-gateway:x:65532:65532::/:/sbin/nologin" >"$gateway/etc/passwd"
echo "workos-auth-gateway:x:65532:" >"$gateway/etc/group"
echo "hosts: files dns" >"$gateway/etc/nsswitch.conf"
chmod 1777 "$gateway/tmp"
image workos-auth-gateway "$gateway" "{
    \"Entrypoint\": [\"/usr/bin/workos-auth-gateway\"], \"User\": \"65532:65532\",
    \"Env\": [\"PATH=/usr/bin\", \"GATEWAY_LISTEN=0.0.0.0:9999\"], \"ExposedPorts\": {\"9999/tcp\": {}}, \"StopSignal\": \"SIGTERM\",
    \"Labels\": {$(labels "workos-auth-gateway")}}" "$version"

# --- The extension alone, for CloudNativePG, which mounts it below /extensions/workos_auth of a server's own image. From 18 on.

if [[ -f $packages/deb/postgresql-18-workos-auth_$debian.deb ]]; then
    dpkg-deb --extract "$(deb postgresql-18-workos-auth)" "$work/extension-package"
    extension=$work/extension
    install -D -m 755 "$work/extension-package/usr/lib/postgresql/18/lib/workos_auth.so" "$extension/lib/workos_auth.so"
    install -d "$extension/share/extension" "$extension/licenses/workos_auth"
    install -m 644 "$work/extension-package/usr/share/postgresql/18/extension/"* "$extension/share/extension/"
    install -m 644 LICENSE "$extension/licenses/workos_auth/"
    zcat "$work/extension-package/usr/share/doc/postgresql-18-workos-auth/THIRD-PARTY.gz" >"$extension/licenses/workos_auth/THIRD-PARTY"
    chmod -R a+rX "$extension"
    image workos-auth-extension-18 "$extension" "{\"User\": \"65532:65532\", \"Labels\": {$(labels "workos_auth for PostgreSQL 18" ",
        \"io.cloudnativepg.image.base.name\": \"ghcr.io/cloudnative-pg/postgresql:18-minimal-$suite\", \"io.cloudnativepg.image.base.pgmajor\": \"18\", \"io.cloudnativepg.image.base.os\": \"$suite\", \"io.cloudnativepg.image.sql.version\": \"$version\"")}}" \
        "$version-18-$suite"
else
    echo "   left out: the extension image for CloudNativePG (PG_MAJOR=18 make deb)"
fi
