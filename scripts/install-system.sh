#!/bin/bash
# Debian packages for real guests and for the tests. Does nothing when all are there.
. "$(dirname "$0")/common.sh"
packages=(python3-venv python3-libvirt libvirt-daemon libvirt-daemon-driver-qemu libvirt-daemon-system libvirt-clients
  qemu-system-x86 qemu-utils dnsmasq-base iptables nftables iproute2 iputils-ping iputils-arping conntrack
  busybox-static dropbear-bin cryptsetup-bin e2fsprogs extlinux syslinux-common kmod cpio binutils openssl fuse3 openssh-client
  genisoimage fdisk dosfstools procps)
missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
done
[ ${#missing[@]} = 0 ] && exit 0
[ "$(id -u)" = 0 ] || die "root is needed to install: apt-get install --no-install-recommends ${missing[*]}"
say "installing ${#missing[@]} Debian packages"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
{ apt-get -q update && apt-get -q install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1 </dev/null \
  || { tail -20 "$log" >&2; die "apt-get could not install ${missing[*]} (all it said: $log)"; }
rm -f "$log"
say "Debian packages installed"
