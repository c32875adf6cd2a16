//! The guests' first file system: busybox, our init, the kernel's modules.

use std::collections::HashSet;
use std::fs;
use std::io::{BufWriter, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::debian::output;

/// Completes `tree`, which has `lib/modules/VERSION`, and packs it. The modules of `boot` are
/// loaded by init, in an order that is worked out here.
pub(crate) fn pack(tree: &Path, init: &Path, boot: &[&str], archive: &Path) -> Result<()> {
    let version = version(tree)?;
    for dir in ["bin", "sbin", "dev", "proc", "sys", "ctl", "new", "lower", "rw"] {
        fs::create_dir_all(tree.join(dir))?;
    }
    let files = output(Command::new("dpkg").args(["-L", "busybox-static"]))?;
    let busybox = files.lines().find(|path| path.ends_with("bin/busybox")).context("no busybox")?;
    fs::copy(busybox, tree.join("bin/busybox"))?;
    // the kernel's own requests for modules run this
    let modprobe = tree.join("sbin/modprobe");
    if !modprobe.is_symlink() {
        symlink("../bin/busybox", modprobe)?;
    }
    fs::copy(init, tree.join("init"))?;
    fs::set_permissions(tree.join("init"), fs::Permissions::from_mode(0o755))?;
    output(Command::new("depmod").arg("-b").arg(tree).arg(&version))?;
    let order: String =
        load_order(tree, boot)?.iter().map(|path| format!("/{}\n", path.display())).collect();
    fs::write(tree.join("boot.order"), order)?;
    let mut out = BufWriter::new(fs::File::create(archive)?);
    let mut inode = 0;
    append(&mut out, tree, Path::new(""), &mut inode)?;
    entry(&mut out, "TRAILER!!!", [0; 3], &[])?;
    out.flush()?;
    Ok(())
}

/// The kernel version that `tree` has modules of.
pub(crate) fn version(tree: &Path) -> Result<String> {
    let entry = fs::read_dir(tree.join("lib/modules"))?.next().context("no modules")??;
    Ok(entry.file_name().to_string_lossy().into_owned())
}

/// These modules and what they depend on, as paths below `tree`, each after its dependencies.
pub(crate) fn load_order(tree: &Path, modules: &[&str]) -> Result<Vec<PathBuf>> {
    let version = version(tree)?;
    let mut seen = HashSet::new();
    let mut order = Vec::new();
    for module in modules {
        let mut command = Command::new("modprobe");
        command.arg("-d").arg(tree).args(["-S", &version, "--show-depends", module]);
        let listing = output(&mut command)?;
        for line in listing.lines() {
            let Some(path) = line.strip_prefix("insmod ") else { continue };
            let path = path.split(' ').next().unwrap_or(path);
            let below = Path::new(path).strip_prefix(tree).context("a module from elsewhere")?;
            if seen.insert(below.to_path_buf()) {
                order.push(below.to_path_buf());
            }
        }
    }
    Ok(order)
}

fn append(out: &mut impl Write, tree: &Path, below: &Path, inode: &mut u32) -> Result<()> {
    let mut entries: Vec<_> = fs::read_dir(tree.join(below))?.collect::<Result<_, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for each in entries {
        let name = below.join(each.file_name());
        let meta = fs::symlink_metadata(each.path())?;
        *inode += 1;
        let content = if meta.is_symlink() {
            fs::read_link(each.path())?.into_os_string().into_encoded_bytes()
        } else if meta.is_file() {
            fs::read(each.path())?
        } else {
            Vec::new()
        };
        let links = if meta.is_dir() { 2 } else { 1 };
        entry(out, &name.to_string_lossy(), [*inode, meta.mode(), links], &content)?;
        if meta.is_dir() {
            append(out, tree, &name, inode)?;
        }
    }
    Ok(())
}

/// One entry in the "newc" format: Documentation/driver-api/early-userspace/buffer-format.rst.
fn entry(out: &mut impl Write, name: &str, head: [u32; 3], content: &[u8]) -> Result<()> {
    let [inode, mode, links] = head;
    let (uid, gid, mtime, device) = (0, 0, 0, 0);
    let size = u32::try_from(content.len())?;
    let name_size = u32::try_from(name.len() + 1)?;
    let numbers =
        [inode, mode, uid, gid, links, mtime, size, device, device, device, device, name_size, 0];
    write!(out, "070701")?;
    for number in numbers {
        write!(out, "{number:08x}")?;
    }
    out.write_all(name.as_bytes())?;
    // the header has 110 bytes; name and content end on multiples of four
    out.write_all(&[0; 4][..1 + (4 - (110 + name.len() + 1) % 4) % 4])?;
    out.write_all(content)?;
    out.write_all(&[0; 3][..(4 - content.len() % 4) % 4])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_padded_to_four_bytes() -> Result<()> {
        for name in ["a", "ab", "abc", "abcd"] {
            for len in 0..5 {
                let mut out = Vec::new();
                entry(&mut out, name, [1, 0o100_644, 1], &vec![7; len])?;
                assert_eq!(out.len() % 4, 0, "{name} {len}");
                let start = (110 + name.len() + 1).next_multiple_of(4);
                assert_eq!(&out[start..start + len], vec![7; len]);
            }
        }
        Ok(())
    }
}
