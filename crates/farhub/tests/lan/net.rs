//! Two computers on one cable: network namespaces A (10.9.0.1) and B (10.9.0.2), inside a user
//! namespace of the test's own, so that no root is needed and nothing is left behind.

use std::env;
use std::process::{Command, Stdio};

/// Set in the process that runs inside; what it says is which part it plays.
const PART: &str = "FARHUB_LAN_PART";

/// Runs a test inside; says why where that is not possible.
pub(crate) fn inside(test: &str, body: impl FnOnce()) {
    if env::var_os(PART).is_some() {
        lay();
        return body();
    }
    let unshare = ["--user", "--map-root-user", "--net", "--mount"];
    let works = |command: &mut Command| {
        let silent = command.stdout(Stdio::null()).stderr(Stdio::null());
        silent.status().is_ok_and(|status| status.success())
    };
    if !works(Command::new("unshare").args(unshare).args(["ip", "link"])) {
        eprintln!("SKIPPED: no network namespaces for this user (unshare, ip)");
        return;
    }
    let inner = Command::new("unshare")
        .args(unshare)
        .arg(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(PART, "test")
        .status();
    assert!(inner.unwrap().success(), "see above");
}

/// Which part a further process of this program plays, in a namespace.
pub(crate) fn part() -> Option<String> {
    env::var(PART).ok().filter(|part| part != "test")
}

/// A further process of this program, in a namespace.
pub(crate) fn actor(namespace: &str, test: &str, part: &str) -> Command {
    let mut command = Command::new("ip");
    let exe = env::current_exe().unwrap();
    command.args(["netns", "exec", namespace]).arg(exe);
    command.args(["--exact", test, "--nocapture"]).env(PART, part);
    command
}

fn lay() {
    run("mount -t tmpfs tmpfs /run");
    for line in LAY.lines() {
        run(line);
    }
}

pub(crate) fn run(line: &str) {
    let mut words = line.split_whitespace();
    let status = Command::new(words.next().unwrap()).args(words).status();
    assert!(status.unwrap().success(), "{line}");
}

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
ip -n A route add default via 10.9.0.2
ip -n B route add default via 10.9.0.1";
