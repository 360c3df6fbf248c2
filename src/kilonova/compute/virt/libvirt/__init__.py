"""The libvirt driver: real guests under QEMU, with KVM where it really works and plain emulation elsewhere."""
