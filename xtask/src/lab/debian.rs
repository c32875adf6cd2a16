//! Debian packages: downloaded and unpacked, without installing them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Where packages come from: the system's own lists, or those of another suite.
#[derive(Debug)]
pub(crate) struct Source {
    config: Option<PathBuf>,
}

impl Source {
    pub(crate) fn system() -> Source {
        Source { config: None }
    }

    /// Lists of `suite`, kept below `dir`, from the mirror that this system uses already; the
    /// system's own lists stay as they are.
    pub(crate) fn suite(suite: &str, dir: &Path) -> Result<Source> {
        let filter = ["Created-By: Packages", "Origin: Debian", "Label: Debian"];
        let format = ["indextargets", "--format", "$(REPO_URI)"];
        let mirrors = output(Command::new("apt-get").args(format).args(filter))?;
        let mirror = mirrors.lines().next().context("no Debian mirror: see sources.list(5)")?;
        fs::create_dir_all(dir.join("lists/partial"))?;
        fs::create_dir_all(dir.join("archives/partial"))?;
        let list = dir.join("sources.list");
        fs::write(&list, format!("deb [signed-by={KEYRING}] {mirror} {suite} main\n"))?;
        let config = dir.join("apt.conf");
        let text = format!(
            "Dir::Etc::SourceList \"{}\"; Dir::Etc::SourceParts \"/dev/null\";\n\
             Dir::State::Lists \"{}\"; Dir::Cache \"{}\";\n",
            list.display(),
            dir.join("lists").display(),
            dir.display(),
        );
        fs::write(&config, text)?;
        let source = Source { config: Some(config) };
        output(source.command("apt-get").args(["-qq", "update"]))?;
        Ok(source)
    }

    /// The names of packages that match a regular expression.
    pub(crate) fn search(&self, pattern: &str) -> Result<Vec<String>> {
        let found = output(self.command("apt-cache").args(["search", "--names-only", pattern]))?;
        Ok(found.lines().filter_map(|line| line.split(' ').next()).map(String::from).collect())
    }

    /// What a package that is only a pointer points at.
    pub(crate) fn depends(&self, package: &str) -> Result<Vec<String>> {
        let found = output(self.command("apt-cache").args(["depends", package]))?;
        Ok(found
            .lines()
            .filter_map(|line| line.trim().strip_prefix("Depends: "))
            .map(String::from)
            .collect())
    }

    /// Downloads a package and unpacks it into `dir`.
    pub(crate) fn unpack(&self, package: &str, dir: &Path) -> Result<()> {
        eprintln!("lab: fetching {package}");
        fs::create_dir_all(dir)?;
        let download = ["-qq", "download", package];
        output(self.command("apt-get").current_dir(dir).args(download))?;
        let archive = fs::read_dir(dir)?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
            .with_context(|| format!("no archive of {package}"))?;
        output(Command::new("dpkg-deb").arg("-x").arg(&archive).arg(dir))?;
        fs::remove_file(archive)?;
        Ok(())
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        if let Some(config) = &self.config {
            command.env("APT_CONFIG", config);
        }
        command
    }
}

/// Runs a command and returns what it printed; its complaints are part of the error.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let result = command.output().with_context(|| format!("cannot run {command:?}"))?;
    ensure!(
        result.status.success(),
        "{command:?}: {}\n{}",
        result.status,
        String::from_utf8_lossy(&result.stderr)
    );
    Ok(String::from_utf8_lossy(&result.stdout).into_owned())
}

/// Of the package debian-archive-keyring, which every Debian has.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
