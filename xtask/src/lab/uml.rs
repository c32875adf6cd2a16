//! User Mode Linux with USB, compiled once from Debian's kernel source (about nine minutes of
//! CPU time).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use super::debian::{Source, output};
use super::{Lab, initramfs};

/// Needs a kernel of 6.16 or later: its `seccomp` mode makes system calls several times faster.
const SUITE: &str = "trixie-backports";

/// Names a patch of the kernel source that is no part of the project, such as one that gives
/// `dummy_hcd` the isochronous transfers that sound and video gadgets need.
const PATCH: &str = "FARHUB_LAB_DUMMY_HCD_PATCH";

const PACKAGES: &[&str] =
    &["bc", "binutils", "bison", "flex", "gcc", "libelf-dev", "make", "patch", "perl", "xz-utils"];

/// The kernels with and without a patch live side by side.
pub(crate) fn dir(lab: &Lab) -> PathBuf {
    lab.cache.join(if patch().is_some() { "uml-patched" } else { "uml" })
}

fn patch() -> Option<PathBuf> {
    std::env::var_os(PATCH).map(PathBuf::from)
}

pub(crate) fn setup(lab: &Lab) -> Result<()> {
    let dir = dir(lab);
    let config = fs::read_to_string(lab.file("uml.config"))?;
    let patch = patch();
    let patch_text = match &patch {
        Some(path) => fs::read_to_string(path).with_context(|| format!("{PATCH}={path:?}"))?,
        None => String::new(),
    };
    // what the kernel is made of; the second stamp adds what its initramfs is made of
    let stamp = format!("{SUITE}\n{config}\n{patch_text}");
    if !is_stamped(&dir.join("stamp"), &stamp) {
        crate::run::need_packages(PACKAGES)?;
        let work = dir.with_extension("work");
        let _ = fs::remove_dir_all(&work);
        let source = unpack(&work)?;
        if let Some(patch) = patch {
            let mut command = Command::new("patch");
            output(
                command.args(["-s", "-p1", "-i"]).arg(patch.canonicalize()?).arg("-d").arg(&source),
            )?;
        }
        compile(&source, &lab.file("uml.config"), &work.join("new"), &dir.with_extension("log"))?;
        let _ = fs::remove_dir_all(&dir);
        fs::rename(work.join("new"), &dir)?;
        fs::write(dir.join("stamp"), &stamp)?;
        fs::remove_dir_all(&work)?;
    }
    let init = lab.file("init");
    let stamp = format!("{}\n{stamp}", fs::read_to_string(&init)?);
    if !is_stamped(&dir.join("initramfs.stamp"), &stamp) {
        initramfs::pack(&dir.join("tree"), &init, &[], &dir.join("initramfs.cpio"))?;
        fs::write(dir.join("initramfs.stamp"), &stamp)?;
    }
    Ok(())
}

/// Is there such a stamp, with this text?
pub(crate) fn is_stamped(file: &Path, text: &str) -> bool {
    fs::read_to_string(file).is_ok_and(|found| found == text)
}

/// Fetches the newest kernel source of the suite.
fn unpack(work: &Path) -> Result<PathBuf> {
    let suite = Source::suite(SUITE, &work.join("apt"))?;
    // "linux-source" itself is only a pointer
    let names = suite.search("^linux-source-[0-9.]+$")?;
    let newest = names.iter().max_by_key(|name| numbers(name)).context("no linux-source")?;
    suite.unpack(newest, &work.join("package"))?;
    let archive = work.join(format!("package/usr/src/{newest}.tar.xz"));
    output(Command::new("tar").arg("-xJf").arg(archive).arg("-C").arg(work))?;
    Ok(work.join(newest))
}

fn compile(source: &Path, config: &Path, new: &Path, log: &Path) -> Result<()> {
    // timer ticks of 1 ms; on UML the value is not a choice in the menu
    let kconfig = source.join("arch/um/Kconfig");
    let text = fs::read_to_string(&kconfig)?;
    let (before, after) = text.split_once("config HZ\n").context("arch/um/Kconfig has no HZ")?;
    let after = after.replacen("default 100", "default 1000", 1);
    fs::write(&kconfig, format!("{before}config HZ\n{after}"))?;

    eprintln!("lab: compiling User Mode Linux, once; this takes some minutes ({})", log.display());
    let tree = new.join("tree");
    let script = r#"
        set -e
        make -s ARCH=um defconfig
        ./scripts/kconfig/merge_config.sh -m .config "$CONFIG"
        make -s ARCH=um olddefconfig
        nice make -s ARCH=um -j"$(nproc)" linux modules
        make -s ARCH=um modules_install INSTALL_MOD_PATH="$TREE" INSTALL_MOD_STRIP=1
        rm -f "$TREE"/lib/modules/*/build "$TREE"/lib/modules/*/source
        strip -o "$TREE/../linux" linux
        cp .config "$TREE/../config"
    "#;
    let file = fs::File::create(log)?;
    let status = Command::new("sh")
        .args(["-c", script])
        .current_dir(source)
        .env("CONFIG", config)
        .env("TREE", &tree)
        // not ours: cargo's job server and flags
        .env_remove("MAKEFLAGS")
        .env_remove("CARGO_MAKEFLAGS")
        .stdout(file.try_clone()?)
        .stderr(file)
        .status()?;
    if !status.success() {
        bail!("cannot compile User Mode Linux: see {}", log.display());
    }
    ensure!(new.join("linux").exists(), "no kernel: see {}", log.display());
    Ok(())
}

/// The numbers in a name, so that 6.16 comes after 6.9.
fn numbers(name: &str) -> Vec<u32> {
    name.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::numbers;

    #[test]
    fn versions_are_ordered_by_their_numbers() {
        assert!(numbers("linux-source-6.16") > numbers("linux-source-6.9"));
        assert!(numbers("linux-source-7.1") > numbers("linux-source-6.16"));
    }
}
