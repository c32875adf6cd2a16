//! Debian's stock kernel for QEMU: downloaded and unpacked, not installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::debian::{Source, output};
use super::uml::is_stamped;
use super::{Lab, initramfs};

const PACKAGES: &[&str] = &["binutils", "qemu-system-x86", "xz-utils"];

/// What init needs to reach the host.
const BOOT: &[&str] = &["virtio_pci", "virtio_console", "9pnet_virtio", "9p", "overlay"];

pub(crate) fn dir(lab: &Lab) -> PathBuf {
    lab.cache.join("vm")
}

pub(crate) fn setup(lab: &Lab) -> Result<()> {
    let dir = dir(lab);
    crate::run::need_packages(PACKAGES)?;
    if !dir.join("vmlinux").exists() {
        // the stock flavour: the cloud one has no USB
        let pointer = "linux-image-amd64";
        let depends = Source::system().depends(pointer)?;
        let package = depends.iter().find(|name| name.starts_with("linux-image-"));
        let package = package.with_context(|| format!("no package {pointer}"))?;
        let work = lab.cache.join("vm.work");
        let _ = fs::remove_dir_all(&work);
        Source::system().unpack(package, &work)?;
        let version = package.trim_start_matches("linux-image-");
        decompress(&work.join("boot").join(format!("vmlinuz-{version}")), &work.join("vmlinux"))?;
        output(Command::new("depmod").arg("-b").arg(&work).arg(version))?;
        let _ = fs::remove_dir_all(&dir);
        fs::rename(&work, &dir)?;
    }
    let init = lab.file("init");
    let list = fs::read_to_string(lab.file("modules.list"))?;
    let stamp = format!("{}{}\n{list}", initramfs::version(&dir)?, fs::read_to_string(&init)?);
    if !is_stamped(&dir.join("initramfs.stamp"), &stamp) {
        let tree = dir.join("tree");
        let _ = fs::remove_dir_all(&tree);
        copy_modules(&dir, &tree, &list)?;
        initramfs::pack(&tree, &init, BOOT, &dir.join("initramfs.cpio"))?;
        fs::write(dir.join("initramfs.stamp"), &stamp)?;
    }
    Ok(())
}

/// QEMU starts an ELF kernel with a PVH note directly; unpacking itself under emulation would
/// take the kernel seconds. The compressed kernel is inside the boot image, after a loader.
fn decompress(image: &Path, kernel: &Path) -> Result<()> {
    let bytes = fs::read(image)?;
    let start = bytes.windows(6).position(|w| w == XZ_MAGIC).context("no XZ kernel inside")?;
    let packed = kernel.with_extension("xz");
    fs::write(&packed, &bytes[start..])?;
    // what follows the kernel is not XZ, which xz complains about after its work is done
    let out = fs::File::create(kernel)?;
    let mut xz = Command::new("xz");
    xz.args(["-dcq", "--single-stream"]).arg(&packed).stdout(out).status()?;
    output(Command::new("strip").arg("--strip-all").arg(kernel))
        .with_context(|| format!("no ELF kernel in {}", image.display()))?;
    fs::remove_file(packed)?;
    ensure!(kernel.metadata()?.len() > 0, "an empty kernel in {}", image.display());
    Ok(())
}

/// The modules of the list and what they depend on, without their debug information and
/// signatures: checking one takes time, and the kernel accepts unsigned modules.
fn copy_modules(from: &Path, tree: &Path, list: &str) -> Result<()> {
    let names: Vec<&str> = list
        .lines()
        .filter_map(|line| line.split('#').next())
        .flat_map(str::split_whitespace)
        .collect();
    for module in initramfs::load_order(from, &names)? {
        let to = tree.join(&module);
        fs::create_dir_all(to.parent().context("a module has a folder")?)?;
        let mut strip = Command::new("strip");
        output(strip.arg("--strip-debug").arg("-o").arg(to).arg(from.join(&module)))?;
    }
    let dir = Path::new("lib/modules").join(initramfs::version(from)?);
    for name in ["modules.builtin", "modules.builtin.modinfo", "modules.order"] {
        fs::copy(from.join(&dir).join(name), tree.join(&dir).join(name))?;
    }
    Ok(())
}

const XZ_MAGIC: &[u8] = b"\xfd7zXZ\0";
