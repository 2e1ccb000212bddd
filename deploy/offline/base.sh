#!/bin/sh
# A stand-in for python:3.11-slim-bookworm where no image registry can be reached: Debian's smallest system from its
# package mirror, this machine's own CPython, and this machine's certificates. For tests and closed sites; not to be
# published. Run as root; needs Docker, a CPython 3.11 that is not Debian's own, and debootstrap and strip, which it
# installs on Debian if they are missing.
set -eu
image=${1:-graphbed-offline/python:3.11}
python=${PYTHON:-python3.11}
# Nine shared libraries that the standard library's modules are linked to, and what `pip` needs for TLS.
libraries=ca-certificates,libssl3,libsqlite3-0,libffi8,libbz2-1.0,liblzma5,libreadline8,libncursesw6,libuuid1,zlib1g

prefix=$("$python" -c 'import sys; print(sys.base_prefix)')
case $prefix in
  /usr) echo "base.sh: $python is Debian's own; name another CPython 3.11 in PYTHON" >&2; exit 2 ;;
esac
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root

if ! command -v debootstrap >/dev/null || ! command -v strip >/dev/null; then
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    debootstrap binutils; } >"$work/log" 2>&1 \
    || { echo "base.sh: needs debootstrap and strip (Debian: apt-get install debootstrap binutils)" >&2; exit 1; }
fi
debootstrap --variant=minbase --include="$libraries" bookworm "$root" >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
mkdir -p "$root/usr/local/bin" "$root/usr/local/lib"
# Without its tests, its graphical parts, and whatever was installed beside it.
tar -C "$prefix" -cf - --exclude='*/test' --exclude='*/tests' --exclude='*/idlelib' --exclude='*/tkinter' \
    --exclude='*/__pycache__' --exclude='*/site-packages' --exclude='*.a' bin/python3.11 lib/python3.11 \
    | tar -C "$root/usr/local" -xf -
cp -P "$prefix"/lib/libpython3.11.so* "$root/usr/local/lib/" 2>/dev/null || true
ln -sf python3.11 "$root/usr/local/bin/python3"
ln -sf python3.11 "$root/usr/local/bin/python"
mkdir -p "$root/usr/local/lib/python3.11/site-packages"
# Behind a proxy that signs for others, pip in a build has to trust what this machine trusts.
cp "${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}" "$root/etc/ssl/certs/ca-certificates.crt"
find "$root/usr/local/lib" -name '*.so*' -type f -exec strip --strip-unneeded {} +
chroot "$root" ldconfig
chroot "$root" /usr/local/bin/python3.11 -m ensurepip >/dev/null 2>&1
chroot "$root" /usr/local/bin/python3.11 -c 'import bz2, ctypes, hashlib, lzma, readline, sqlite3, ssl, zlib'
rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* "$root"/usr/share/doc/* "$root"/usr/share/man/* \
    "$root"/usr/share/locale/* "$root"/usr/local/lib/python3.11/ensurepip
find "$root/usr/local" -name __pycache__ -prune -exec rm -rf {} +
tar -C "$root" --exclude='./dev/*' --exclude='./proc/*' --exclude='./sys/*' -cf - . | docker import \
    --change 'ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin' \
    --change 'ENV LANG=C.UTF-8' --change 'ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt' \
    --change 'CMD ["python3"]' - "$image" >/dev/null
echo "$image"
