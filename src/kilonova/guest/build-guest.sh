#!/bin/bash
# Build a tiny cloud guest from Debian packages only. `kilonova.guest.build` runs this; it lists the packages needed.
# Usage: build-guest.sh OUTDIR [UNPACKED_KERNEL_DEB_DIR]
# Makes: OUTDIR/vmlinuz OUTDIR/initrd.gz OUTDIR/root.ext4   (AMI style: kernel, ramdisk, ext4 root)
#        OUTDIR/disk.qcow2                                  (self-booting whole disk: ext4 on the bare disk + extlinux)
#        OUTDIR/kernel-args                                 (to append to root=/dev/vda)
# Lines "@ FRACTION TEXT" on stdout report the progress. Root is needed for one loop mount.
# On the console root's password is "kilonova"; ssh takes keys only.
set -euo pipefail
say() { echo "@ $1 $2"; }
OUT=$(mkdir -p "$1" && realpath "$1"); KDIR=${2:-}
W=$(mktemp -d); trap 'umount "$W/mnt" 2>/dev/null || :; rm -rf "$W"' EXIT
if [ -z "$KDIR" ]; then
  say 0.02 "fetching the kernel package"
  KDIR=$W/k; mkdir "$KDIR"
  pkg=$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends: linux-image-/{print $2; exit}')
  [ -n "$pkg" ] || { echo "no linux-image-cloud-amd64 in the package lists: run apt-get update" >&2; exit 1; }
  (cd "$W" && apt-get -qq -o APT::Sandbox::User=root download "$pkg")
  say 0.3 "unpacking $pkg"
  dpkg-deb -x "$W/$pkg"_*.deb "$KDIR"
fi
KV=$(basename "$(echo "$KDIR"/lib/modules/*)"); [ -f "$KDIR/lib/modules/$KV/modules.dep" ] || depmod -b "$KDIR" "$KV"
cp "$KDIR/boot/vmlinuz-$KV" "$OUT/vmlinuz"; chmod 644 "$OUT/vmlinuz"

copy_mods() {  # DEST module...: modules with what they need, and a modules.dep for busybox modprobe
  local d=$1 f m; shift
  for m in "$@"; do
    modprobe -d "$KDIR" -S "$KV" --show-depends "$m" | awk '$1=="insmod"{print $2}'
  done | sort -u | while read -r f; do
    install -D -m644 "$f" "$d/lib/modules/$KV/kernel/$(basename "$f")"; strip --strip-debug "$d/lib/modules/$KV/kernel/$(basename "$f")" 2>/dev/null || :
  done
  cp "$KDIR"/lib/modules/"$KV"/modules.{order,builtin} "$d/lib/modules/$KV/" && depmod -b "$d" "$KV" && rm -f "$d"/lib/modules/"$KV"/modules.*bin
}
copy_bin() {   # DEST program...: programs with their shared libraries
  local d=$1 b l; shift
  for b in "$@"; do install -D -m755 "$b" "$d/usr/sbin/$(basename "$b")"
    ldd "$b" | grep -o '/[^ ]*' | while read -r l; do [ -e "$d$l" ] || install -D -m755 "$(realpath "$l")" "$d$l"; done; done
}
busybox_tree() { mkdir -p "$1"/{bin,dev,proc,sys,run,tmp,etc,root}; cp /bin/busybox "$1/bin/busybox"; }

say 0.6 "making the ramdisk"
# --- ramdisk: find the root disk, mount it, switch_root -------------------------------------------
I=$W/initrd; busybox_tree "$I"; mkdir "$I/new"
copy_mods "$I" virtio_pci virtio_blk virtio_scsi sd_mod ata_piix
for a in sh mount modprobe findfs sleep switch_root cat; do ln -s busybox "$I/bin/$a"; done
cat > "$I/init" <<'X'
#!/bin/sh
export PATH=/bin
mount -t devtmpfs dev /dev; mount -t proc proc /proc; mount -t sysfs sys /sys
root=/dev/vda
for w in $(cat /proc/cmdline); do case $w in root=*) root=${w#root=};; esac; done
modprobe -a virtio_pci virtio_blk
i=0
while :; do
  case $root in LABEL=*|UUID=*) d=$(findfs "$root" 2>/dev/null);; *) d=$root;; esac
  [ -n "$d" ] && [ -b "$d" ] && break
  i=$((i+1)); [ $i = 3 ] && modprobe -a virtio_scsi ata_piix sd_mod
  [ $i = 100 ] && { echo "no root device $root"; exec sh; }
  sleep 0.1
done
mount -t ext4 -o rw,noatime "$d" /new || exec sh
mount -o move /dev /new/dev; mount -o move /proc /new/proc; mount -o move /sys /new/sys
exec switch_root /new /sbin/init
X
chmod 755 "$I/init"
(cd "$I" && find . | cpio -o -H newc --quiet) | gzip -9n > "$OUT/initrd.gz"

say 0.75 "making the root file system"
# --- root file system ----------------------------------------------------------------------------
R=$W/root; busybox_tree "$R"; mkdir -p "$R"/{sbin,usr/bin,usr/sbin,mnt,var/log,var/lib,etc/dropbear,etc/acpi/PWRF,root/.ssh,boot}
mkdir -p "$R"/etc/network/if-{pre-up,up,down,post-down}.d; ln -s ../run "$R/var/run"
ln -s usr/lib "$R/lib"; mkdir -p "$R/usr/lib" "$R/usr/lib64"; ln -s usr/lib64 "$R/lib64"
copy_mods "$R" virtio_pci virtio_net virtio_blk virtio_scsi sd_mod virtio-rng virtio_balloon button evdev \
  isofs vfat nls_cp437 nls_ascii nls_utf8 nls_iso8859-1 sr_mod ata_piix
copy_bin "$R" /usr/sbin/dropbear /usr/sbin/resize2fs
for a in $(/bin/busybox --list); do [ -e "$R/bin/$a" ] || ln -s busybox "$R/bin/$a"; done
ln -s ../bin/busybox "$R/sbin/init"
echo 'root:x:0:0:root:/root:/bin/sh' > "$R/etc/passwd"; echo 'root:x:0:' > "$R/etc/group"
echo "root:$(openssl passwd -6 kilonova):19000:0:99999:7:::" > "$R/etc/shadow"; chmod 600 "$R/etc/shadow"
printf '/bin/sh\n' > "$R/etc/shells"; chmod 700 "$R/root" "$R/root/.ssh"
echo 'tinycloud' > "$R/etc/hostname"; printf '127.0.0.1 localhost\n' > "$R/etc/hosts"
echo 'export PATH=/bin:/usr/bin:/sbin:/usr/sbin' > "$R/etc/profile"
printf 'tinycloud \\n \\l\n' > "$R/etc/issue"
cat > "$R/etc/inittab" <<'X'
::sysinit:/etc/rcS
ttyS0::respawn:/bin/getty -L ttyS0 115200 vt100
tty1::respawn:/bin/getty 38400 tty1
::ctrlaltdel:/bin/reboot
::shutdown:/etc/rcK
X
printf '#!/bin/sh\nkillall dropbear udhcpc 2>/dev/null\nsync\numount -a -r 2>/dev/null\nmount -o remount,ro / 2>/dev/null\n' > "$R/etc/rcK"
printf '#!/bin/sh\necho "power button: shutting down" > /dev/ttyS0\n/bin/poweroff\n' > "$R/etc/acpi/PWRF/00000080"
cat > "$R/etc/udhcpc.script" <<'X'
#!/bin/sh
case $1 in
bound|renew)
  # the first NIC has the default route and names the resolvers; later ones come after it
  m=; [ $interface = eth0 ] || m="metric 20${interface#eth}"
  [ $1 = bound ] && ip addr flush dev $interface
  ip addr add $ip/${mask:-24} dev $interface 2>/dev/null; ip link set $interface up ${mtu:+mtu $mtu}
  for r in $router; do ip route replace default via $r dev $interface $m && break; done
  set -- $staticroutes
  while [ -n "$2" ]; do
    case $2 in 0.0.0.0) ip route replace $1 dev $interface $m;; *) ip route replace $1 via $2 dev $interface $m;; esac
    shift 2
  done
  [ $interface = eth0 ] && : > /etc/resolv.conf
  for d in $dns; do grep -qs "nameserver $d\$" /etc/resolv.conf || echo nameserver $d >> /etc/resolv.conf; done;;
esac
X
cat > "$R/etc/rcS" <<'X'
#!/bin/sh
export PATH=/bin:/usr/bin:/sbin:/usr/sbin HOME=/root
mkdir -p /dev/pts /dev/shm; mount -t devpts devpts /dev/pts; mount -t tmpfs tmpfs /run
modprobe -a virtio_net button evdev
ip link set lo up
for n in /sys/class/net/eth*; do n=${n##*/}; ip link set $n up; done
acpid -d -c /etc/acpi >/dev/null 2>&1 &
modprobe -a virtio-rng virtio_balloon &
configure() { # NIC TRIES: a static address when the disk has one, else DHCP
  if grep -qs "^iface $1 inet static" /etc/network/interfaces; then ifup $1
  else udhcpc -i $1 -s /etc/udhcpc.script -b -t $2 -T 1 -A 1 -S -O mtu -O staticroutes -O 121; fi >>/var/log/network 2>&1
}
[ -e /sys/class/net/eth0 ] && configure eth0 5
for n in /sys/class/net/eth[1-9]; do [ -e $n ] && configure ${n##*/} 3 & done
cloudinit; dropbear -R -s -j -k
echo "tinycloud ready: $(hostname) $(ip -4 -o addr show eth0 2>/dev/null | awk '{print $4; exit}') up $(cut -d' ' -f1 /proc/uptime)" > /dev/console
(d=$(awk '$2=="/"&&$3=="ext4"{print $1}' /proc/mounts | tail -1); resize2fs $d >/dev/null 2>&1) &
X
cat > "$R/bin/cloudinit" <<'X'
#!/bin/sh
# config drive (label config-2) first, then the metadata service (wget -T of Debian's busybox segfaults: use timeout)
md=http://169.254.169.254; S=/run/cloud; mkdir -p $S
json() { sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p" | head -n1; }
src=none
grep -q 0x010180 /sys/bus/pci/devices/*/class && modprobe -a ata_piix sr_mod && sleep 0.3
grep -qE '0x1048|0x1004' /sys/bus/pci/devices/*/device && modprobe -a virtio_scsi sd_mod sr_mod && sleep 0.2
set -- /sys/block/*; cd=
if [ $# -gt 1 ]; then modprobe -a isofs vfat nls_cp437 nls_ascii; cd=$(findfs LABEL=config-2 2>/dev/null || findfs LABEL=CONFIG-2 2>/dev/null); fi
for x in $cd /dev/sr0; do
  [ -b $x ] || continue
  mount -o ro -t iso9660 $x /mnt 2>/dev/null || mount -o ro -t vfat $x /mnt 2>/dev/null || continue
  f=/mnt/openstack/latest/meta_data.json
  if [ -f $f ]; then src=configdrive
    tr ',{}' '\n' < $f > $S/md; json hostname < $S/md > $S/hostname
    grep -oE '"(ssh-|ecdsa-|sk-)[^" ]* AAAA[^"\\]*' $f | cut -c2- | sort -u > $S/keys
    tr '{}' '\n\n' < $f | grep content_path | while read -r l; do   # personality files
      c=$(echo "$l" | json content_path); p=$(echo "$l" | json path)
      mkdir -p "${p%/*}/" && cp /mnt/openstack$c "$p"; done
    json admin_pass < $S/md > $S/pass
    cp /mnt/openstack/latest/user_data $S/user-data 2>/dev/null; fi
  umount /mnt; [ $src = configdrive ] && break
done
if [ $src = none ] && [ -n "$(ip route)" ]; then
  get() { timeout 5 wget -q -O - $md/latest/$1 2>/dev/null; }
  tries="1 2 3 4 5"; [ -s /root/.ssh/authorized_keys ] && tries=1   # keys were injected, or this is a later boot
  for i in $tries; do h=$(get meta-data/hostname) && [ -n "$h" ] && break; sleep 0.5; done
  if [ -n "$h" ]; then src=metadata; echo "$h" > $S/hostname
    get meta-data/public-keys/0/openssh-key > $S/keys; get user-data > $S/user-data; fi
fi
h=$(cat $S/hostname 2>/dev/null); h=${h%%.*}; [ -n "$h" ] || h=$(cat /etc/hostname)
hostname "$h"; echo "$h" > /etc/hostname
[ -s $S/keys ] && { cat $S/keys; echo; } >> /root/.ssh/authorized_keys && sort -u -o /root/.ssh/authorized_keys /root/.ssh/authorized_keys; chmod 600 /root/.ssh/authorized_keys 2>/dev/null
[ -s $S/pass ] && echo "root:$(cat $S/pass)" | chpasswd -c sha512 >/dev/null 2>&1; rm -f $S/pass
echo "cloudinit: source=$src hostname=$h keys=$(cat /root/.ssh/authorized_keys 2>/dev/null | grep -cE "^(ssh-|ecdsa-|sk-)")" | tee $S/log > /dev/console
case $(head -c 2 $S/user-data 2>/dev/null) in '#!') chmod 755 $S/user-data; $S/user-data > /var/log/user-data.log 2>&1;; esac
X
chmod 755 "$R"/etc/rcS "$R"/etc/rcK "$R"/etc/udhcpc.script "$R"/bin/cloudinit "$R"/etc/acpi/PWRF/00000080
KARGS="console=tty0 console=ttyS0,115200 quiet mitigations=off nokaslr tsc=reliable cryptomgr.notests random.trust_cpu=on no_timer_check"
mk() { rm -f "$1"; truncate -s "$2" "$1"; mke2fs -q -t ext4 -b 4096 -d "$R" -L cloudroot -m 0 -J size=4 -O ^metadata_csum,^64bit -E root_owner=0:0,nodiscard -N 2048 "$1"; }
mk "$OUT/root.ext4" 24M

say 0.85 "making the self-booting disk"
# --- whole disk: ext4 straight on the disk (no partition table, so it grows with resize2fs) + extlinux
cp "$OUT/vmlinuz" "$R/boot/vmlinuz"; cp "$OUT/initrd.gz" "$R/boot/initrd.gz"
printf 'DEFAULT l\nPROMPT 0\nTIMEOUT 0\nLABEL l\n KERNEL vmlinuz\n INITRD initrd.gz\n APPEND root=LABEL=cloudroot %s\n' "$KARGS" > "$R/boot/extlinux.conf"
mk "$W/disk.raw" 40M
mkdir "$W/mnt"; mount -o loop "$W/disk.raw" "$W/mnt"; extlinux --install "$W/mnt/boot" 2>/dev/null; umount "$W/mnt"
qemu-img convert -c -f raw -O qcow2 "$W/disk.raw" "$OUT/disk.qcow2"
echo "$KARGS" > "$OUT/kernel-args"
say 1 "guest images are ready"
