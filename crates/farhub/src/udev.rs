//! What lets a user without root use USB devices: the udev rule, and the kernel's memory limit.

/// Before `73-seat-late.rules`, which acts on the tag `uaccess`.
pub(crate) const FILE: &str = "/etc/udev/rules.d/70-farhub.rules";

/// For members of `group`, and for whoever sits at the computer.
pub(crate) fn rule(group: &str) -> String {
    format!(
        "SUBSYSTEM==\"usb\", ENV{{DEVTYPE}}==\"usb_device\", \
         MODE=\"0660\", GROUP=\"{group}\", TAG+=\"uaccess\"\n"
    )
}

/// MiB for the transfers of all programs together; 0 is without limit.
pub(crate) const MEMORY: &str = "/sys/module/usbcore/parameters/usbfs_memory_mb";

/// What we set it to.
pub(crate) const MEMORY_MB: u32 = 256;
