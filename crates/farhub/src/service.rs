//! `farhub service`: the hub as a systemd service, run by a user without rights.
//!
//! What is to be done is a list of steps, which are shown, or done one by one.

pub(crate) mod account;
mod units;

pub(crate) use account::Account;

use crate::cli::{self, Install, Uninstall};
use crate::data;
use crate::error::{Error, Exit};
use crate::out::Out;
use crate::root::Root;
use crate::table::{Cell, Table, Tone};
use rustix::process::geteuid;
use serde::Serialize;
use serde_json::json;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use units::File;

pub(crate) fn service(action: cli::Service, out: Out) -> Result<(), Error> {
    match action {
        cli::Service::Install(args) => install(args, out),
        cli::Service::Uninstall(args) => uninstall(args, out),
        cli::Service::Status(args) => status(args, out),
    }
}

/// One thing that is done.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Step {
    Write {
        path: &'static str,
        text: String,
    },
    Remove {
        path: &'static str,
    },
    Run(String),
    /// As far as it goes: a computer without it is served by the rest.
    Try(String),
}

fn install(args: Install, out: Out) -> Result<(), Error> {
    let Install { user, uninstall: Uninstall { dry_run, root } } = args;
    let doing = Doing::new(dry_run, root.root, out)?;
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c);
    if user == "root" || user.is_empty() || user.starts_with('-') || !user.chars().all(fits) {
        let error = Error::new(Exit::Usage, format!("{user:?} cannot be the user of the hub"));
        return Err(error.hint("name a user without rights, or leave --user out"));
    }
    if doing.really() && !Path::new(BOOTED).exists() {
        let error = Error::failed("systemd does not run this computer");
        return Err(error.hint("start `farhub up` by what does, or from a shell"));
    }
    let binary = doing.binary()?;
    doing.all(&to_install(&doing.root, &binary, &user))?;
    if doing.really() {
        eprintln!("\nThe hub runs, now and after every start of this computer.");
        eprintln!("  to speak to it:    sudo farhub devices");
        eprintln!("  its settings:      /etc/farhub/farhub.toml");
        eprintln!("  what it says:      journalctl -u farhub -u farhub-helper");
        eprintln!("  is all well?       sudo farhub doctor");
    }
    Ok(())
}

fn to_install(root: &Root, binary: &str, user: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let group = match Account::find(root, user) {
        Some(account) => account.group,
        None => {
            let own = if account::group_exists(root, user) {
                format!("--gid {user}")
            } else {
                "--user-group".to_owned()
            };
            steps.push(Step::Run(format!(
                "useradd --system {own} --no-create-home --home-dir {} --shell /usr/sbin/nologin \
                 --comment '{}' {user}",
                data::SYSTEM,
                account::COMMENT
            )));
            user.to_owned()
        }
    };
    let ports = account::ports_group(root);
    let files = units::files(binary, user, &group, ports);
    steps.extend(files.into_iter().map(|File { path, text }| Step::Write { path, text }));
    steps.extend([
        Step::Try("modprobe vhci-hcd".into()),
        Step::Try(format!("systemd-tmpfiles --create {}", units::TMPFILES)),
        Step::Try("udevadm control --reload".into()),
        Step::Try(TRIGGER.into()),
        Step::Run("systemctl daemon-reload".into()),
        Step::Run("systemctl enable farhub-helper.service farhub.service".into()),
        // Not `enable --now`: a new binary must take the place of one that runs.
        Step::Run("systemctl restart farhub-helper.service farhub.service".into()),
    ]);
    steps
}

fn uninstall(args: Uninstall, out: Out) -> Result<(), Error> {
    let doing = Doing::new(args.dry_run, args.root.root, out)?;
    let steps = to_uninstall(&doing.root);
    if steps.is_empty() {
        eprintln!("The service is not installed.");
    }
    doing.all(&steps)?;
    if steps.is_empty() {
        return Ok(());
    }
    if doing.root.at(data::SYSTEM).exists() {
        eprintln!("\nThe hub's key, peers and audit log are still in {}.", data::SYSTEM);
        eprintln!("To forget them: sudo rm -r {0} && sudo userdel farhub", data::SYSTEM);
    }
    Ok(())
}

/// What install did, backwards. The user stays as long as there are files that belong to it: the
/// next user that the system makes could get its number, and with it the hub's key.
fn to_uninstall(root: &Root) -> Vec<Step> {
    let account = Account::of_service(root);
    let files = units::files("", "", "", None);
    let mut removals: Vec<Step> = files
        .iter()
        .rev()
        .filter(|file| root.at(file.path).exists())
        .map(|file| Step::Remove { path: file.path })
        .collect();
    if removals.is_empty() {
        return removals;
    }
    let mut steps =
        vec![Step::Try("systemctl disable --now farhub.service farhub-helper.service".into())];
    steps.append(&mut removals);
    steps.extend([
        Step::Try("systemctl daemon-reload".into()),
        Step::Try("udevadm control --reload".into()),
        Step::Try(TRIGGER.into()),
    ]);
    if let Some(account) = account
        && account.is_ours()
        && !root.at(data::SYSTEM).exists()
    {
        steps.push(Step::Run(format!("userdel {}", account.name)));
    }
    steps
}

fn status(args: cli::Root, out: Out) -> Result<(), Error> {
    let live = args.root.is_none();
    let root = Root(args.root.unwrap_or("/".into()));
    let mut table = Table::default();
    let mut states = serde_json::Map::new();
    let files = units::files("", "", "", None);
    for path in files.iter().map(|file| file.path) {
        let there = root.at(path).exists();
        states.insert(path.into(), json!(if there { "installed" } else { "missing" }));
    }
    for unit in ["farhub-helper.service", "farhub.service"].iter().filter(|_| live) {
        let told = Command::new("systemctl").args(["is-active", unit]).output();
        let told = told.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
        let word = told.ok().filter(|word| !word.is_empty()).unwrap_or("unknown".into());
        states.insert((*unit).into(), json!(word));
    }
    if out.json {
        return out.document(&states);
    }
    for (what, state) in &states {
        let word = state.as_str().unwrap_or_default();
        let good = matches!(word, "installed" | "active");
        let tone = if good { Tone::Good } else { Tone::Notice };
        table.row([Cell::from(what), Cell::new(word, tone)]);
    }
    out.table(&table)?;
    if !root.at(units::HUB).exists() {
        eprintln!("The service is not installed: sudo farhub service install");
    }
    Ok(())
}

/// How steps are taken.
#[derive(Debug)]
struct Doing {
    dry_run: bool,
    root: Root,
    /// Whether this is the running system.
    live: bool,
    out: Out,
}

impl Doing {
    fn new(dry_run: bool, root: Option<PathBuf>, out: Out) -> Result<Self, Error> {
        let live = root.is_none();
        if live && !dry_run && !geteuid().is_root() {
            let error = Error::new(Exit::Refused, "only root may change the system's services");
            return Err(error.hint("sudo farhub service ..., or --dry-run to see what it would do"));
        }
        Ok(Self { dry_run, root: Root(root.unwrap_or("/".into())), live, out })
    }

    fn really(&self) -> bool {
        self.live && !self.dry_run
    }

    /// The program that the units start. In a package it has its usual place.
    fn binary(&self) -> Result<String, Error> {
        if !self.live {
            return Ok(PACKAGED.to_owned());
        }
        let binary = std::env::current_exe()?;
        match unfit(&binary) {
            None => Ok(binary.display().to_string()),
            Some(why) if self.dry_run => {
                eprintln!("Note: {} is {why}; install it first:", binary.display());
                eprintln!("  sudo install -m 755 {} {LOCAL}", binary.display());
                Ok(LOCAL.to_owned())
            }
            Some(why) => {
                let error = Error::failed(format!("{} is {why}", binary.display()));
                let copy = format!("sudo install -m 755 {} {LOCAL}", binary.display());
                Err(error.hint(format!("{copy} && sudo {LOCAL} service install")))
            }
        }
    }

    fn all(&self, steps: &[Step]) -> Result<(), Error> {
        if !(self.dry_run && self.out.json) {
            steps.iter().try_for_each(|step| self.one(step))?;
        }
        if self.out.json { self.out.document(&steps) } else { Ok(()) }
    }

    fn one(&self, step: &Step) -> Result<(), Error> {
        match step {
            Step::Write { path, text } if self.dry_run => {
                println!("# {path}\n{text}");
                Ok(())
            }
            Step::Write { path, text } => {
                eprintln!("write   {path}");
                write(&self.root.at(path), text).map_err(|e| failed(&format!("write {path}"), &e))
            }
            Step::Remove { path } if self.dry_run => {
                println!("rm {path}");
                Ok(())
            }
            Step::Remove { path } => {
                eprintln!("remove  {path}");
                let removed = std::fs::remove_file(self.root.at(path));
                removed.map_err(|e| failed(&format!("remove {path}"), &e))
            }
            Step::Run(line) | Step::Try(line) if self.dry_run => {
                println!("{line}");
                Ok(())
            }
            Step::Run(_) | Step::Try(_) if !self.live => Ok(()),
            Step::Run(line) => run(line),
            Step::Try(line) => {
                if let Err(error) = run(line) {
                    eprintln!("        {} (going on without)", error.message);
                }
                Ok(())
            }
        }
    }
}

/// Whole, or not at all: a unit that is cut off could start a hub without its restrictions.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let folder = path.parent().expect("every file of the service is in a folder");
    std::fs::create_dir_all(folder)?;
    let new = path.with_extension("farhub-new");
    std::fs::write(&new, text)?;
    std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o644))?;
    std::fs::rename(new, path)
}

fn run(line: &str) -> Result<(), Error> {
    eprintln!("run     {line}");
    let mut shell = Command::new("/bin/sh");
    let ran = shell.args(["-c", line]).stdin(Stdio::null()).stdout(Stdio::null()).status();
    match ran {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Error::failed(format!("{line}: {status}"))),
        Err(e) => Err(failed(line, &e)),
    }
}

fn failed(what: &str, error: &std::io::Error) -> Error {
    Error::failed(format!("{what}: {error}"))
}

/// Why a service could not run this program.
fn unfit(binary: &Path) -> Option<&'static str> {
    let path = binary.display().to_string();
    let hidden = ["/home/", concat!("/root", "/"), "/run/user/", "/tmp/", "/var/tmp/"];
    if hidden.iter().any(|folder| path.starts_with(folder)) {
        return Some("in a folder that services do not see");
    }
    // What a unit file would take for something else.
    if !path.chars().all(|c| c.is_ascii_alphanumeric() || "/._+-".contains(c)) {
        return Some("at a path with characters that a unit file cannot hold");
    }
    let open = |path: &Path| path.metadata().is_ok_and(|is| is.permissions().mode() & 0o001 != 0);
    (!binary.ancestors().all(open)).then_some("in a folder that other users may not enter")
}

/// A device that is plugged in gets the new rule at once.
const TRIGGER: &str = "udevadm trigger --subsystem-match=usb --action=add";
/// sd_booted(3)
const BOOTED: &str = "/run/systemd/system";
const PACKAGED: &str = "/usr/bin/farhub";
const LOCAL: &str = "/usr/local/bin/farhub";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::tree;
    use crate::udev;

    const PASSWD: &str = "farhub:x:990:991:farhub service:/var/lib/farhub:/usr/sbin/nologin\n";

    fn paths(folder: &Path) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for entry in folder.read_dir().unwrap().flatten() {
            if entry.file_type().unwrap().is_dir() {
                found.extend(paths(&entry.path()));
            } else {
                found.push(entry.path());
            }
        }
        found.sort();
        found
    }

    #[test]
    fn uninstall_removes_what_install_wrote() {
        let (folder, root) = tree(&[("/etc/passwd", PASSWD), ("/etc/group", "farhub:x:991:\n")]);
        let before = paths(folder.path());
        let out = Out { json: false };
        let doing = Doing { dry_run: false, root: root.clone(), live: false, out };
        doing.all(&to_install(&root, PACKAGED, "farhub")).unwrap();
        assert_eq!(paths(folder.path()).len(), before.len() + 5);
        assert_eq!(Account::of_service(&root).unwrap().group, "farhub");
        doing.all(&to_uninstall(&root)).unwrap();
        assert_eq!(paths(folder.path()), before);
        assert_eq!(to_uninstall(&root), []);
    }

    #[test]
    fn the_user_goes_only_when_nothing_belongs_to_it() {
        let unit = (units::HUB, "[Service]\nUser=farhub\n");
        let userdel = Step::Run("userdel farhub".into());
        let (_folder, root) = tree(&[("/etc/passwd", PASSWD), unit]);
        assert!(to_uninstall(&root).contains(&userdel));
        let (_folder, root) = tree(&[("/etc/passwd", PASSWD), unit, ("/var/lib/farhub/key", "00")]);
        assert!(!to_uninstall(&root).contains(&userdel));
        let foreign = PASSWD.replace("farhub service", "somebody");
        let (_folder, root) = tree(&[("/etc/passwd", &foreign), unit]);
        assert!(!to_uninstall(&root).contains(&userdel));
    }

    #[test]
    fn a_user_is_made_where_there_is_none() {
        let (_folder, root) = tree(&[("/etc/group", "farhub:x:991:\n")]);
        let Step::Run(line) = &to_install(&root, PACKAGED, "farhub")[0] else { panic!() };
        assert!(line.starts_with("useradd --system --gid farhub "), "{line}");
    }

    #[test]
    fn a_program_in_a_home_is_not_for_a_service() {
        assert!(unfit(Path::new("/home/me/bin/farhub")).is_some());
        assert!(unfit(Path::new("/opt/far hub/farhub")).is_some());
        assert_eq!(unfit(Path::new("/bin/sh")), None);
    }

    #[test]
    fn the_rule_names_the_group_of_the_user() {
        let files = units::files(PACKAGED, "usb", "plugdev", Some("dialout"));
        let text = |path| files.iter().find(|file| file.path == path).unwrap().text.as_str();
        assert!(text(udev::FILE).contains("GROUP=\"plugdev\""));
        let hub = text(units::HUB);
        assert!(hub.contains("\nUser=usb\nGroup=plugdev\nSupplementaryGroups=dialout\n"));
        assert!(text(units::HELPER).contains("--group plugdev\n"));
    }
}
