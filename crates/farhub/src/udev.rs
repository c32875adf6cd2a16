//! What lets a user without root use USB devices: the udev rule, and the kernel's memory limit.

/// Before `50-udev-default.rules`, which gives printers and the like to groups of their own: they
/// stay with them.
pub(crate) const FILE: &str = "/etc/udev/rules.d/40-farhub.rules";

/// For members of `group`. The mode, 0664, is udev's own.
pub(crate) fn rule(group: &str) -> String {
    format!("SUBSYSTEM==\"usb\", ENV{{DEVTYPE}}==\"usb_device\", GROUP=\"{group}\"\n")
}

/// MiB for the transfers of all programs together; 0 is without limit.
pub(crate) const MEMORY: &str = "/sys/module/usbcore/parameters/usbfs_memory_mb";

/// What we set it to.
pub(crate) const MEMORY_MB: u32 = 256;
