//! Two network namespaces, A (10.9.0.1) and B (10.9.0.2), with a cable of any length between.

use std::fs::{self, File};
use std::io::Read;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::disk::Noise;
use crate::lab::WORK;
use crate::sysfs::{LIMIT, within};

/// Runs a command that is expected to succeed; returns what it printed.
pub(crate) fn run(line: &str) -> Result<String> {
    let mut words = line.split_whitespace();
    let mut command = Command::new(words.next().context("an empty command")?);
    output(command.args(words))
}

pub(crate) fn output(command: &mut Command) -> Result<String> {
    let result = command.output().with_context(|| format!("{command:?}"))?;
    ensure!(
        result.status.success(),
        "{command:?}: {}: {}{}",
        result.status,
        String::from_utf8_lossy(&result.stdout),
        String::from_utf8_lossy(&result.stderr)
    );
    Ok(String::from_utf8_lossy(&result.stdout).into_owned())
}

/// The cable between the two namespaces.
#[derive(Debug)]
pub(crate) struct Cable {
    rtt_ms: u32,
}

impl Cable {
    pub(crate) fn lay(rtt_ms: u32) -> Result<Cable> {
        for line in LAY.lines() {
            run(line)?;
        }
        let mut cable = Cable { rtt_ms: 0 };
        cable.stretch(rtt_ms)?;
        Ok(cable)
    }

    /// Changes the round-trip time, half of it each way.
    pub(crate) fn stretch(&mut self, rtt_ms: u32) -> Result<()> {
        self.rtt_ms = rtt_ms;
        let delay_us = rtt_ms * 1000 / 2;
        if rtt_ms > 0 {
            return netem(&format!("delay {delay_us}us"));
        }
        // netem takes time even for a delay of nothing: without it there is none to delete
        for (namespace, link) in ENDS {
            let _ = run(&format!("tc -n {namespace} qdisc del dev {link} root"));
        }
        Ok(())
    }

    /// Nothing arrives any more, and nobody is told.
    pub(crate) fn cut(&self) -> Result<()> {
        netem("loss 100%")
    }

    /// Gives B another address, as a router does after a restart.
    pub(crate) fn readdress(&self) -> Result<()> {
        READDRESS.lines().try_for_each(|line| run(line).map(drop))
    }

    /// How many packets A has sent so far.
    pub(crate) fn packets(&self) -> Result<u64> {
        let (namespace, link) = ENDS[0];
        let counter = format!("/sys/class/net/{link}/statistics/tx_packets");
        Ok(run(&format!("ip netns exec {namespace} cat {counter}"))?.trim().parse()?)
    }

    pub(crate) fn mend(&mut self) -> Result<()> {
        self.stretch(self.rtt_ms)
    }
}

/// Has a file of noise fetched over TCP from one network interface to another: the near one moves
/// to a namespace of its own, so that nothing takes a short cut.
pub(crate) fn carry_a_file(near: &str, far: &str, mib: usize) -> Result<()> {
    for line in NETWORK.replace("NEAR", near).replace("FAR", far).lines() {
        run(line)?;
    }
    let mut file = vec![0; mib << 20];
    Noise(5).fill(&mut file);
    let path = Path::new(WORK).join("file");
    fs::write(&path, &file)?;
    let server = ["netns", "exec", "C", "busybox", "nc", "-l", "-p", "5000"];
    let server = Command::new("ip").args(server).stdin(File::open(path)?).spawn()?;
    let chatter = Command::new("ip").args(CHATTER).stdout(Stdio::null()).spawn()?;
    let address = "10.8.0.1:5000";
    let stream = within(LIMIT, "the server", || TcpStream::connect(address).ok());
    let mut came = Vec::with_capacity(file.len());
    let read = stream.and_then(|mut stream| {
        stream.set_read_timeout(Some(LIMIT))?;
        Ok(stream.read_to_end(&mut came)?)
    });
    for mut process in [server, chatter] {
        process.kill()?;
        process.wait()?;
    }
    read?;
    ensure!(came == file, "{} bytes came, of {} that differ", came.len(), file.len());
    Ok(())
}

fn netem(how: &str) -> Result<()> {
    for (namespace, link) in ENDS {
        run(&format!(
            "tc -n {namespace} qdisc replace dev {link} root netem limit {PACKETS_MAX} {how}"
        ))?;
    }
    Ok(())
}

/// The emulated adapter gathers frames for 0.3 ms, and tries once to send them: if all its requests
/// are on their way just then, the frames wait until 16 KiB are together, for ever when nobody says
/// more (Linux, `drivers/usb/gadget/function/f_ncm.c`, `ncm_tx_timeout`).
const CHATTER: [&str; 11] =
    ["netns", "exec", "C", "busybox", "ping", "-q", "-s", "1400", "-i", "0.01", "10.8.0.2"];

const ENDS: [(&str, &str); 2] = [("A", "va"), ("B", "vb")];

/// More than ever is on its way, so that netem never drops.
const PACKETS_MAX: u32 = 100_000;

const READDRESS: &str = "\
ip -n B addr del 10.9.0.2/24 dev vb
ip -n B addr add 10.9.0.77/24 dev vb
ip -n B route replace default dev vb";

const NETWORK: &str = "\
ip netns add C
ip link set NEAR netns C
ip -n C addr add 10.8.0.1/24 dev NEAR
ip -n C link set NEAR up
ip addr add 10.8.0.2/24 dev FAR
ip link set FAR up";

const LAY: &str = "\
ip netns add A
ip netns add B
ip link add va netns A type veth peer name vb netns B
ip -n A addr add 10.9.0.1/24 dev va
ip -n B addr add 10.9.0.2/24 dev vb
ip -n A link set lo up
ip -n B link set lo up
ip -n A link set va up
ip -n B link set vb up
ip -n A route add default dev va
ip -n B route add default dev vb";
