//! One guest: start it with a command, carry its output, end it.
//!
//! A private folder is shared with the guest's init: `command`, `path` and `interactive` go in,
//! `status` comes out; `enough` goes in when it has had its time. The command's terminal is our
//! child's stdin and stdout, the kernel's console its stderr.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use super::patience::{Patience, Verdict};
use super::{Backend, Lab, uml, vm};

#[derive(Debug)]
pub(crate) struct Guest<'a> {
    lab: &'a Lab,
    backend: Backend,
    /// None is a shell.
    command: Vec<String>,
    /// A folder of programs that the guest finds first.
    pub path: Option<PathBuf>,
    /// Emulated devices of the vm.
    pub plugs: Vec<String>,
    /// The guest is ended after this time, not counting that in which it had no processor; also
    /// when we are.
    pub limit: Duration,
}

#[derive(Debug)]
pub(crate) struct Report {
    pub ending: Ending,
    /// What the kernel said.
    pub console: String,
    pub verdict: Verdict,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ending {
    /// The command ended with this status.
    Exit(i32),
    /// It took too long.
    Limit,
    /// The guest ended before the command did.
    Died,
}

impl<'a> Guest<'a> {
    pub(crate) fn new(lab: &'a Lab, backend: Backend, command: Vec<String>) -> Guest<'a> {
        let limit = Duration::from_secs(120);
        Guest { lab, backend, command, path: None, plugs: Vec::new(), limit }
    }

    /// Runs the command to its end; `line` gets every line that it prints. A line that starts
    /// with `@qmp ` is for QEMU instead.
    pub(crate) fn run(&self, mut line: impl FnMut(&str)) -> Result<Report> {
        let folder = self.folder()?;
        let seconds = (self.limit * STARVED_MAX).as_secs().to_string();
        // timeout(1) kills the whole group, and setpriv(1) has it killed when we die first
        let mut limited = Command::new("setpriv");
        limited.args(["--pdeathsig", "TERM", "timeout", "-k", "2", &seconds]);
        let machine = self.machine(folder.path())?;
        limited.arg(machine.get_program()).args(machine.get_args());
        let mut child = limited
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start the guest")?;
        let patience = Patience::new(child.id(), folder.path().into(), self.limit);
        let mut stderr = child.stderr.take().context("no console")?;
        let console = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = stderr.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).replace('\r', "")
        });
        let mut stdout = BufReader::new(child.stdout.take().context("no output")?);
        let mut bytes = Vec::new();
        while stdout.read_until(b'\n', &mut bytes)? > 0 {
            let text = String::from_utf8_lossy(&bytes);
            let text = text.trim_end();
            match text.strip_prefix("@qmp ") {
                Some(request) => qmp(&folder.path().join("qmp"), request)?,
                // a kernel may hang in its shutdown, which is not what is tested
                None if text == END => {
                    Command::new("kill").arg(child.id().to_string()).status()?;
                }
                None => line(text),
            }
            bytes.clear();
        }
        let status = child.wait()?;
        let verdict = patience.verdict();
        let console = console.join().unwrap_or_default();
        let ending = match fs::read_to_string(folder.path().join("status")) {
            Ok(code) if !code.is_empty() => Ending::Exit(code.trim().parse()?),
            _ if verdict.killed || matches!(status.code(), Some(124 | 137) | None) => Ending::Limit,
            _ => Ending::Died,
        };
        Ok(Report { ending, console, verdict })
    }

    /// Gives the guest our terminal.
    pub(crate) fn interact(&self) -> Result<()> {
        let folder = self.folder()?;
        let console = fs::File::create(self.lab.cache.join("console.log"))?;
        self.machine(folder.path())?.stderr(console).status()?;
        Ok(())
    }

    fn folder(&self) -> Result<TempDir> {
        let runs = self.lab.cache.join("run");
        fs::create_dir_all(&runs)?;
        let folder = TempDir::new_in(runs)?;
        let command = if self.command.is_empty() {
            fs::write(folder.path().join("interactive"), "")?;
            "/bin/sh -i".to_owned()
        } else {
            self.command.iter().fold(String::new(), |mut line, word| {
                let _ = write!(line, "'{}' ", word.replace('\'', r"'\''"));
                line
            })
        };
        fs::write(folder.path().join("command"), format!("exec {command}\n"))?;
        let path = self.path.as_ref().map_or(String::new(), |path| format!("{}:", path.display()));
        fs::write(folder.path().join("path"), format!("{path}{PATH}"))?;
        Ok(folder)
    }

    fn machine(&self, folder: &Path) -> Result<Command> {
        match self.backend {
            Backend::Uml => {
                ensure!(self.plugs.is_empty(), "emulated devices need the vm");
                Ok(uml(&uml::dir(self.lab), folder))
            }
            Backend::Vm => qemu(&vm::dir(self.lab), folder, &self.plugs),
        }
    }
}

/// On one CPU: User Mode Linux hands every system call from one process of the host to another,
/// which takes several times longer when it has to wake another CPU for that (8 instead of 55 us).
fn uml(dir: &Path, folder: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", &last_cpu()]).arg(dir.join("linux"));
    command.args(["mem=1536M", "seccomp=on", "quiet", "panic=1", "con=null", "ssl=null"]);
    command.args(["con0=null,fd:2", "con1=fd:0,fd:1", "umid=lab"]);
    for (name, path) in [("uml_dir", folder.into()), ("initrd", dir.join("initramfs.cpio"))] {
        command.arg(format!("{name}={}", path.display()));
    }
    command.arg(format!("lab_ctl={}", folder.display()));
    command
}

/// The last that we may use: the first is busy with interrupts.
fn last_cpu() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let last = list.and_then(|list| list.rsplit(['-', ',']).next());
    last.map_or_else(|| "0".to_owned(), |last| last.trim().to_owned())
}

fn qemu(dir: &Path, folder: &Path, plugs: &[String]) -> Result<Command> {
    // The emulated time stamp counter is the host's, and the guest's own calibration goes wrong
    // on a busy machine: its clock would run several times too fast.
    let cpu = fs::read_to_string("/proc/cpuinfo")?;
    let bogomips = cpu.lines().find_map(|line| line.strip_prefix("bogomips")?.split_once(": "));
    let mhz: f64 = bogomips.context("no bogomips")?.1.trim().parse::<f64>()? / 2.0;
    let mut command = Command::new("qemu-system-x86_64");
    command.args("-machine q35,hpet=off -bios qboot.rom -cpu max,la57=off".split(' '));
    command.args("-accel tcg,thread=multi,tb-size=256 -smp 2 -m 1024".split(' '));
    command.args("-nodefaults -no-user-config -display none -no-reboot".split(' '));
    command.arg("-kernel").arg(dir.join("vmlinux"));
    command.arg("-initrd").arg(dir.join("initramfs.cpio"));
    command.arg("-append").arg(format!(
        "console=ttyS0 quiet panic=-1 mitigations=off tsc=reliable tsc_early_khz={:.0} \
         no_timer_check cryptomgr.notests apparmor=0 audit=0",
        mhz * 1000.0
    ));
    command.args(["-chardev", "stdio,id=terminal,signal=off", "-device", "virtio-serial-pci"]);
    command.args(["-device", "virtconsole,chardev=terminal"]);
    command.args(["-serial", "file:/dev/stderr"]);
    for (tag, path, read_only) in [("ctl", folder, ""), ("root", Path::new("/"), ",readonly=on")] {
        let path = path.display().to_string().replace(',', ",,");
        let how = format!("security_model=none,multidevs=remap{read_only}");
        command.args(["-fsdev", &format!("local,id={tag},path={path},{how}")]);
        command.args(["-device", &format!("virtio-9p-pci,fsdev={tag},mount_tag={tag}")]);
    }
    command.arg("-qmp").arg(format!("unix:{}/qmp,server=on,wait=off", folder.display()));
    command.args(["-device", "qemu-xhci,id=hc,p2=8,p3=8"]);
    for (n, plug) in plugs.iter().enumerate() {
        command.args(device(plug, n, folder)?);
    }
    Ok(command)
}

/// QEMU's arguments for an emulated USB device.
fn device(plug: &str, n: usize, folder: &Path) -> Result<Vec<String>> {
    let file = folder.join(format!("plug{n}")).display().to_string();
    let on = format!("bus=hc.0,id=plug{n}");
    let words = match plug {
        "storage" => {
            fs::File::create(&file)?.set_len(DISK_BYTES)?;
            vec![
                "-drive".into(),
                format!("if=none,id=d{n},format=raw,cache=writeback,file={file}"),
                "-device".into(),
                format!("usb-storage,{on},drive=d{n},serial=LABDISK"),
            ]
        }
        "uas" => {
            fs::File::create(&file)?.set_len(DISK_BYTES)?;
            vec![
                "-drive".into(),
                format!("if=none,id=d{n},format=raw,cache=writeback,file={file}"),
                "-device".into(),
                format!("usb-uas,{on}"),
                "-device".into(),
                format!("scsi-hd,bus=plug{n}.0,drive=d{n}"),
            ]
        }
        // an FTDI adapter; QEMU reads back from the fifo what it wrote: a loop-back plug
        "serial" => {
            super::debian::output(Command::new("mkfifo").arg(&file))?;
            vec![
                "-chardev".into(),
                format!("pipe,id=c{n},path={file}"),
                "-device".into(),
                format!("usb-serial,{on},chardev=c{n},always-plugged=on"),
            ]
        }
        "audio" => vec![
            "-audiodev".into(),
            format!("none,id=a{n}"),
            "-device".into(),
            format!("usb-audio,{on},audiodev=a{n}"),
        ],
        "net" => vec![
            "-netdev".into(),
            format!("user,id=n{n}"),
            "-device".into(),
            format!("usb-net,{on},netdev=n{n}"),
        ],
        other => vec!["-device".into(), format!("usb-{other},{on}")],
    };
    Ok(words)
}

/// One request to QEMU: a key press, a device pulled out.
fn qmp(socket: &Path, request: &str) -> Result<()> {
    let stream = UnixStream::connect(socket).context("no QMP: only the vm has it")?;
    let mut answers = BufReader::new(stream.try_clone()?).lines();
    answers.next().context("QEMU does not greet")??;
    for line in [r#"{"execute":"qmp_capabilities"}"#, request] {
        writeln!(&stream, "{line}")?;
        // events may come first
        let answer = loop {
            let answer = answers.next().context("QEMU does not answer")??;
            if !answer.contains("\"event\"") {
                break answer;
            }
        };
        ensure!(!answer.contains("\"error\""), "QEMU: {answer}");
    }
    Ok(())
}

/// However little of a processor it gets, it is ended after so many times its limit.
const STARVED_MAX: u32 = 5;

/// What init prints when the status is there.
const END: &str = "@end";

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Room for a file system with 256 MiB of data. Holes take no room.
const DISK_BYTES: u64 = 512 << 20;
