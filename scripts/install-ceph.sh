#!/bin/bash
# Debian packages of Ceph and of what guests use it by, for `make ceph`: 96 with all that they need, hence not among those of
# `make test`. Ceph's Python modules are Debian's, linked into the environment as libvirt's is.
. "$(dirname "$0")/common.sh"
install_packages ceph ceph-mon ceph-osd ceph-mgr ceph-common python3-rados python3-rbd qemu-block-extra tgt
site=$("$VENV/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
for file in /usr/lib/python3/dist-packages/{rados,rbd}.*.so; do ln -sfn "$file" "$site/$(basename "$file")"; done
"$VENV/bin/python" -c 'import rados, rbd' || die "Debian's python3-rbd does not load in $VENV: it wants $(/usr/bin/python3 -V)"
