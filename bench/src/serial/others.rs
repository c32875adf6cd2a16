//! Other programs that put a port on the network, each with a port of its own: socat, ser2net
//! without its delay, and the example of pyserial. All are Debian's, and none encrypts.

use anyhow::{Context, Result};
use sim::machine::Echo;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};

pub(super) struct Others {
    pub(super) places: Vec<(&'static str, SocketAddr)>,
    children: Vec<Child>,
    _echoes: Vec<Echo>,
}

/// Of Debian's python3-serial.
const PYSERIAL: &str = "/usr/share/doc/python3-serial/examples/tcp_serial_redirect.py";

impl Others {
    pub(super) fn start(folder: &Path) -> Result<Self> {
        let echoes = super::echoes(4)?;
        let mut places = Vec::new();
        let mut commands = Vec::new();
        let [socat, pyserial, raw, telnet] = [free()?, free()?, free()?, free()?];
        let port = |number: usize| echoes[number].path().display().to_string();

        let mut command = Command::new("socat");
        let listens = format!("TCP-LISTEN:{},bind=127.0.0.1,fork,nodelay", socat.port());
        command.args([listens, format!("{},raw,echo=0,b115200", port(0))]);
        commands.push(command);
        places.push(("socat, TCP", socat));

        let config = folder.join("ser2net.yaml");
        let device = |number: usize| format!("serialdev,{},115200n81,local", port(number));
        fs::write(&config, ser2net((raw, &device(1)), (telnet, &device(2))))?;
        let mut command = Command::new("ser2net");
        command.args(["-n", "-u", "-c"]).arg(&config);
        commands.push(command);
        places.extend([("ser2net, TCP", raw), ("ser2net, RFC 2217", telnet)]);

        let mut command = Command::new("/usr/bin/python3");
        let number = pyserial.port().to_string();
        command.args([PYSERIAL, "-q", "-P", &number, &port(3), "115200"]);
        commands.push(command);
        places.push(("pyserial's server, TCP", pyserial));

        let mut others = Self { places, children: Vec::new(), _echoes: echoes };
        for mut command in commands {
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let name = command.get_program().to_string_lossy().into_owned();
            others.children.push(command.spawn().with_context(|| format!("starting {name}"))?);
        }
        Ok(others)
    }
}

impl Drop for Others {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn ser2net(raw: (SocketAddr, &str), telnet: (SocketAddr, &str)) -> String {
    let connection = |name: &str, accepter: &str, (address, device): (SocketAddr, &str)| {
        format!(
            "connection: &{name}\n  accepter: {accepter}tcp,127.0.0.1,{}\n  connector: {device}\n  \
             options: {{chardelay: false, kickolduser: true}}\n",
            address.port()
        )
    };
    let telnet = connection("b", "telnet(rfc2217),", telnet);
    format!("%YAML 1.1\n---\n{}{telnet}", connection("a", "", raw))
}

/// An address that nobody has now.
fn free() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
