#!/bin/sh
# Turns a freshly bootstrapped Debian into the guest of the lab.
# Runs as root inside the guest's root file system while it is being built
# (see src/image/build.rs); everything it leaves in /boot/lab is taken out
# by the builder and handed to QEMU.
set -eu

kernel=$(basename "$(echo /lib/modules/*)")
modules=/lib/modules/$kernel
purge=$1   # packages that were only needed to build the modules
masked=$2  # units that would only slow the boot
modprobe=$3  # modules that the initramfs loads, in this order

echo "lab: kernel $kernel"

# dkms builds for the running kernel, which is the host's here: name ours.
zfs=$(dkms status | sed -n 's|^zfs/\([^,:]*\).*|\1|p' | head -n 1)
if ! ls "$modules"/updates/dkms/zfs.ko* >/dev/null 2>&1; then
    dkms install "zfs/$zfs" -k "$kernel" -j "$(nproc)"
fi
echo "lab: zfs $zfs"

# The package's removal takes its modules along, wherever below $modules they
# are: keep a copy out of its reach.
mkdir -p /boot/lab/modules
cp "$modules"/updates/dkms/*.ko* /boot/lab/modules/
# What needs "zfs-modules | zfs-dkms" is content with an empty package.
package=$(mktemp -d)
mkdir "$package/DEBIAN"
cat > "$package/DEBIAN/control" <<END
Package: zfs-modules
Version: 0~lab
Architecture: all
Maintainer: zferry lab <root@localhost>
Description: the modules in $modules/extra
END
dpkg-deb --build "$package" "$package.deb"
dpkg --install "$package.deb"
rm -r "$package" "$package.deb"
# shellcheck disable=SC2086  # a list of packages
DEBIAN_FRONTEND=noninteractive apt-get -y purge --autoremove $purge
mkdir -p "$modules/extra"
mv /boot/lab/modules/* "$modules/extra/"
rmdir /boot/lab/modules
depmod "$kernel"
modinfo -k "$kernel" zfs >/dev/null

# shellcheck disable=SC2086  # a list of units
systemctl mask $masked
systemctl enable zferry-lab-agent.service serial-getty@ttyS0.service
passwd --delete root
zgenhostid -f 5a665272

# A small initramfs of our own: Debian's takes several seconds longer to
# unpack and run where there is no KVM.
initramfs=/boot/lab/initramfs
mkdir -p "$initramfs/bin" "$initramfs/modules" "$initramfs/dev" "$initramfs/proc" "$initramfs/sys" "$initramfs/root"
cp /bin/busybox "$initramfs/bin/busybox"
for name in $modprobe; do
    modprobe --set-version "$kernel" --show-depends "$name" | sed -n 's/^insmod \([^ ]*\).*/\1/p'
done | awk '!seen[$0]++' | while read -r module; do
    plain=$(basename "$module" .xz)
    case $module in
        *.xz) xz --decompress --stdout "$module" > "$initramfs/modules/$plain" ;;
        *) cp "$module" "$initramfs/modules/$plain" ;;
    esac
    echo "$plain" >> "$initramfs/modules/order"
done
cp /boot/lab/init "$initramfs/init"
chmod 755 "$initramfs/init"
(cd "$initramfs" && find . | cpio --quiet --create --format=newc | gzip -1) > /boot/lab/initrd
cp "/boot/vmlinuz-$kernel" /boot/lab/vmlinuz
echo "kernel=$kernel zfs=$zfs" > /boot/lab/versions
rm -rf "$initramfs" /boot/lab/init

apt-get clean
rm -rf /var/lib/apt/lists/* /usr/share/doc /usr/share/man /usr/share/locale /var/cache/apt /usr/src/zfs-* /var/lib/dkms
rm -f /boot/initrd.img-* /boot/vmlinuz-* /etc/machine-id
echo 5a6665727279200000000000000000ab > /etc/machine-id
