#!/bin/sh
# Installs the Debian packages that a target needs, or says exactly which are missing and how to get them.
# Usage: system-packages.sh run|test|wifi|deb|pictures
set -eu

missing=""
need() { # need PACKAGE TEST...: remembers PACKAGE when TEST fails
    package=$1
    shift
    "$@" >/dev/null 2>&1 || missing="$missing $package"
}
need_quiet() { # the same, but never on a machine that it could take over, or speak for, at its next start
    if [ -d /run/systemd/system ]; then
        shift
        "$@" >/dev/null 2>&1 || echo "Not installed by itself: NetworkManager, polkit or Avahi; their tests are skipped." >&2
    else
        need "$@"
    fi
}
has_polkitd() { test -x /usr/lib/polkit-1/polkitd -o -x /usr/libexec/polkitd; }
has_python_headers() {
    "${PYTHON:-python3}" -c 'import pathlib, sysconfig; (pathlib.Path(sysconfig.get_path("include")) / "Python.h").stat()'
}
has_postgres() { ls /usr/lib/postgresql/*/bin/initdb; }

need python3-venv "${PYTHON:-python3}" -c 'import venv, ensurepip'
if [ "${1:-run}" = test ]; then
    need chromium test -x /usr/bin/chromium
    need chromium-driver test -x /usr/bin/chromedriver
    need postgresql has_postgres
    need openssl command -v openssl
    need curl command -v curl
    need dbus command -v dbus-daemon
    need python3-dbusmock /usr/bin/python3 -c 'import dbusmock'
    need_quiet network-manager command -v NetworkManager
    need_quiet polkitd has_polkitd
    need_quiet avahi-daemon command -v avahi-daemon
    need avahi-utils command -v avahi-browse
    need iproute2 command -v ip
    need nftables test -x /usr/sbin/nft
    need dnsmasq-base test -x /usr/sbin/dnsmasq
    need busybox command -v busybox
    need gcc command -v gcc
    need libc6-dev test -e /usr/include/stdlib.h
    need swtpm command -v swtpm
    need libtss2-dev test -e /usr/include/tss2/tss2_esys.h
    need pkg-config command -v pkg-config
    need python3-dev has_python_headers
fi
if [ "${1:-run}" = pictures ]; then
    need chromium test -x /usr/bin/chromium
    need fonts-noto-core test -d /usr/share/fonts/truetype/noto
    need fonts-noto-color-emoji test -e /usr/share/fonts/truetype/noto/NotoColorEmoji.ttf
fi
if [ "${1:-run}" = wifi ]; then
    need qemu-system-x86 command -v qemu-system-x86_64
    need qemu-utils command -v qemu-img
    need mmdebstrap command -v mmdebstrap
    need debian-archive-keyring ls /usr/share/keyrings/debian-archive-keyring.gpg
    need e2fsprogs test -x /usr/sbin/mke2fs
    need openssh-client command -v ssh-keygen
    need git command -v git
fi
if [ "${1:-run}" = deb ]; then
    need mmdebstrap command -v mmdebstrap
    need debian-archive-keyring ls /usr/share/keyrings/debian-archive-keyring.gpg
    need util-linux command -v unshare
    need iproute2 command -v ip
    need git command -v git
fi
[ -z "$missing" ] && exit 0

install="apt-get install -y --no-install-recommends$missing"
if [ "$(id -u)" = 0 ]; then
    sudo=""
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    sudo="sudo"
else
    echo "These Debian packages are missing:$missing" >&2
    echo "Install them with:  sudo $install" >&2
    exit 1
fi
echo "Installing Debian packages:$missing"
$sudo apt-get update -q >/dev/null
# A database server that starts by itself is not wanted: the tests start their own, in a folder of theirs.
$sudo env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 $install >/dev/null
