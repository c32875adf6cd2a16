"""Programs that are not ours, at ports that come through farhub: `cargo xtask peers`.

Two hubs of one process (`farhub up --demo`), the machines of one of them simulated. Each peer is a
function; its last words are figures. It fails by an exception, and is skipped by Skip.
"""

import argparse, hashlib, http.client, itertools, os, pty, signal, subprocess, tempfile
import threading, time, tty

from peer import SOON, Skip, call, free_port, main, ready, start, stop, until


class Hubs:
    """The demo: `desk`, which attaches, and `garage`, which has the machines."""

    def __init__(self, farhub, peers, folder):
        self.farhub, self.data = os.path.abspath(farhub), os.path.join(folder, "data")
        self.peers = os.path.abspath(peers)
        os.makedirs(self.data)
        self.echo = os.path.join(folder, "loop-back")
        loop_back(self.echo)
        with open(os.path.join(self.data, "farhub.toml"), "w") as file:
            file.write('serial_ports = ["%s"]\n' % self.echo)
        command = [self.farhub, "--data", self.data, "--json", "up", "--demo", "--offline"]
        command += ["--name", "desk", "--listen", "127.0.0.1:0"]
        log = os.path.join(folder, "hubs.log")
        self.up = start(command, log, stdout=subprocess.PIPE, text=True)
        assert "ready" in self.up.stdout.readline()
        # garage uses the port with the loop-back plug, the other way round
        self.desk("share", "loop-back", "--profile", "raw")
        self.desk("grant", "garage", "loop-back")
        self.folder = folder
        self.laser = self.attach(self.desk, "garage/laser")
        self.printer = self.attach(self.desk, "garage/printer")
        self.plug = self.attach(self.garage, "desk/loop-back")

    def attach(self, hub, address):
        link = os.path.join(self.folder, address.replace("/", "-"))
        said = hub("attach", address, "--as", link, "--tcp", "0", "--rfc2217", "0")
        places = dict(place.split("://") for place in said.split(", ") if "://" in place)
        return {"pty": link, **places}

    def desk(self, *words):
        return self.run(self.data, words)

    def garage(self, *words):
        return self.run(os.path.join(self.data, "demo", "garage"), words)

    def run(self, data, words):
        done = subprocess.run([self.farhub, "--data", data, *words], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


def loop_back(link):
    master, slave = pty.openpty()
    tty.setraw(slave)
    os.symlink(os.ttyname(slave), link)

    def returns():
        while True:
            some = os.read(master, 4096)
            while some:
                some = some[os.write(master, some):]

    threading.Thread(target=returns, daemon=True).start()


def percentiles(times):
    times = sorted(times)
    at = lambda percent: times[len(times) * percent // 100] * 1e3
    return "round trip p50 %.2f ms, p99 %.2f ms" % (at(50), at(99))


def grbl(port):
    """Talks to the laser by pyserial."""
    port.write(b"\x18")
    hear(port, b"Grbl")
    port.write(b"$X\n$I\n")
    assert b"[VER:1.1h" in hear(port, b"ok\r\n", 2)
    times = []
    for _ in range(200):
        began = time.perf_counter()
        port.write(b"G4P0\n")
        line = port.readline()
        times.append(time.perf_counter() - began)
        assert line == b"ok\r\n", line
    return percentiles(times)


def hear(port, wanted, times=1):
    heard, began = b"", time.time()
    while heard.count(wanted) < times:
        assert time.time() - began < SOON, heard
        heard += port.read(max(1, port.in_waiting))
    return heard


def exchange(port, size):
    """All values, both ways."""
    sent = bytes(range(256)) * (size // 256)
    came, began = bytearray(), time.time()
    sender = threading.Thread(target=lambda: port.write(sent))
    sender.start()
    while len(came) < len(sent):
        assert time.time() - began < 2 * SOON, "%d of %d bytes came" % (len(came), len(sent))
        came += port.read(min(4096, len(sent) - len(came)))
    sender.join()
    assert hashlib.sha256(came).digest() == hashlib.sha256(sent).digest(), "other bytes came back"
    return "%d KiB both ways at %.2f MB/s" % (size >> 10, size / (time.time() - began) / 1e6)


def pyserial(url, plug, size):
    import serial
    began = time.time()
    with serial.serial_for_url(url, 115200, timeout=5) as port:
        opened = time.time() - began
        said = grbl(port)
    with serial.serial_for_url(plug, 115200, timeout=5) as port:
        return "open %.2f s, %s, %s" % (opened, said, exchange(port, size))


def pyserial_pty(hubs):
    return pyserial(hubs.laser["pty"], hubs.plug["pty"], 1 << 20)


def pyserial_socket(hubs):
    return pyserial("socket://" + hubs.laser["tcp"], "socket://" + hubs.plug["tcp"], 1 << 20)


def pyserial_rfc2217(hubs):
    """Without ign_set_control: every setting and line is to be confirmed."""
    import serial
    place = "rfc2217://"
    said = pyserial(place + hubs.laser["rfc2217"], place + hubs.plug["rfc2217"], 128 << 10)
    with serial.serial_for_url(place + hubs.plug["rfc2217"], 115200, timeout=5) as port:
        began = time.time()
        port.baudrate = 250000
        took = time.time() - began
        port.dtr, port.rts = False, True
        port.dtr, port.rts = True, False
        port.break_condition = True
        port.break_condition = False
        # a pty has 8 bits and no parity, and says so
        port.stopbits = 2
        port.reset_input_buffer()
        port.reset_output_buffer()
    return said + ", baud rate set in %.2f s" % took


def piped(command, wanted):
    """A terminal program that is asked who is there."""
    began = time.time()
    pipe = subprocess.PIPE
    child = start(command, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT)
    heard = b""
    try:
        os.set_blocking(child.stdout.fileno(), False)
        asks = itertools.count()

        def answered():
            nonlocal heard
            assert child.poll() is None, heard
            # twenty looks a second
            if next(asks) % 20 == 0:
                child.stdin.write(b"$X\n$I\n")
                child.stdin.flush()
            heard += child.stdout.read() or b""
            return wanted in heard

        until(answered)
        return "answered after %.2f s" % (time.time() - began)
    finally:
        stop(child, signal.SIGKILL)


def socat_tcp(hubs):
    return piped(["socat", "-", "TCP:" + hubs.laser["tcp"]], b"[VER:1.1h")


def socat_pty(hubs):
    return piped(["socat", "-", hubs.laser["pty"] + ",raw,echo=0,b115200"], b"[VER:1.1h")


def gensiot(hubs):
    host, port = hubs.laser["rfc2217"].split(":")
    place = "telnet(rfc2217),tcp,%s,%s" % (host, port)
    return piped(["gensiot", "-i", "stdio(self)", place], b"[VER:1.1h")


def picocom(hubs):
    command = "picocom -q -b 115200 --omap lfcrlf " + hubs.laser["pty"]
    return piped(["script", "-qec", command, "/dev/null"], b"[VER:1.1h")


CNCJS = """
const [base, token, port] = process.argv.slice(1);
const io = require('socket.io-client')(base, { query: 'token=' + token });
const lines = ['G21G91', 'M4S0'];
for (let at = 0; at < 1000; at++) lines.push((at % 2 ? 'G1X-0.1' : 'G1X0.1') + 'F6000S300');
lines.push('M5');
let begun = 0;
setTimeout(() => { console.log('too late'); process.exit(1); }, 120000);
io.on('serialport:open', () => setTimeout(() => io.emit('command', port, 'unlock'), 2500));
io.on('serialport:read', said => {
  if (/error|ALARM/.test(said)) { console.log(said); process.exit(1); }
});
io.on('serialport:error', e => { console.log(JSON.stringify(e)); process.exit(1); });
io.on('connect', () => io.emit('open', port, { baudrate: 115200, controllerType: 'Grbl' }));
io.on('sender:status', s => {
  if (s.total > 1000 && s.received >= s.total && begun) {
    const took = (Date.now() - begun) / 1000;
    console.log(s.total + ' lines in ' + took.toFixed(1) + ' s');
    io.emit('close', port);
    setTimeout(() => process.exit(0), 300);
  }
});
setTimeout(() => {
  io.emit('command', port, 'gcode:load', 'job', lines.join('\\n'));
  begun = Date.now();
  setTimeout(() => io.emit('command', port, 'gcode:start'), 500);
}, 6000);
"""


def cncjs(hubs):
    """Loads a program and lets it run."""
    folder = os.path.join(hubs.peers, "npm")
    program = os.path.join(folder, "node_modules/.bin/cncjs")
    if not os.path.exists(program):
        raise Skip("not installed")
    number, home = free_port(), tempfile.mkdtemp(dir=hubs.folder)
    rc = os.path.join(home, "cncrc")
    command = [program, "-H", "127.0.0.1", "-p", str(number), "-c", rc]
    log = os.path.join(hubs.folder, "cncjs.log")
    child = start(command, log, env={**os.environ, "HOME": home})
    try:
        base = "http://127.0.0.1:%d" % number
        ready(base, child)
        token = call(base + "/api/signin", {"token": ""})["token"]
        command = ["node", "-e", CNCJS, base, token, hubs.laser["pty"]]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=150)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()
    finally:
        stop(child)


def octoprint(hubs):
    """Connects to the printer, prints, is stopped."""
    program = os.path.join(hubs.peers, "octoprint/bin/octoprint")
    if not os.path.exists(program):
        raise Skip("not installed")
    base, number, key = os.path.join(hubs.folder, "octoprint"), free_port(), "A" * 32
    os.makedirs(base)
    with open(os.path.join(base, "config.yaml"), "w") as file:
        file.write("serial: {additionalPorts: [%s], disconnectOnErrors: false}\n"
                   "server: {firstRun: false, onlineCheck: {enabled: false}, seenWizards: {}}\n"
                   "api: {key: %s}\naccessControl: {salt: x}\n"
                   "plugins: {_disabled: [tracking, pluginmanager, softwareupdate, announcements]}\n"
                   % (hubs.printer["pty"], key))
    users = [program, "--basedir", base, "user", "add", "--password", "pw", "--admin", "adm"]
    subprocess.run(users, check=True, capture_output=True)
    command = [program, "--basedir", base, "serve", "--iknowwhatimdoing", "--host", "127.0.0.1"]
    child = start(command + ["--port", str(number)], os.path.join(hubs.folder, "octoprint.log"))
    try:
        url, headers = "http://127.0.0.1:%d/api" % number, {"X-Api-Key": key}
        ready(url + "/version", child, 240)

        def state(wanted):
            def now():
                try:
                    return call(url + "/connection", None, headers)["current"]["state"]
                except (OSError, http.client.HTTPException) as error:
                    return repr(error)

            until(now, lambda state: state == wanted, limit=240)

        state("Closed")
        connect = {"command": "connect", "port": hubs.printer["pty"], "baudrate": 115200}
        call(url + "/connection", connect, headers)
        began = time.time()
        state("Operational")
        took = time.time() - began
        call(url + "/printer/command", {"commands": ["M115", "G28", "G1 X10 F6000", "M105"]}, headers)
        state("Operational")
        return "operational after %.1f s" % took
    finally:
        stop(child)


MEERK40T = """
import os, sys, time
from meerk40t import internal_plugins
from meerk40t.kernel import Kernel
from meerk40t.main import parser

kernel = Kernel("MeerK40t", "0.9", "farhub-peers", ansi=False, ignore_settings=True)
kernel.args = parser.parse_args(["--no-gui", "--no-plugins", "--nuke-settings"])
kernel.add_plugin(internal_plugins.plugin)
kernel(partial=True)
kernel.console("service device start grbl -i\\n")
device, (host, port) = kernel.device, sys.argv[1].split(":")
device.interface, device.address, device.port = "tcp", host, int(port)
sent, answers = [], []

def watch(data, type=None):
    if type == "send":
        sent.append(data.strip())
    if type == "recv" and "error" in data:
        print(data, flush=True)
        os._exit(1)
    if type == "recv" and data.startswith("ok / "):
        answers.append(data)

device.controller.update_connection()
device.controller.add_watcher(watch)
device.controller.start()

def until(is_so):
    began = time.time()
    while not is_so():
        if time.time() - began > 60:
            print("too late", sent, answers, flush=True)
            os._exit(1)
        time.sleep(0.01)

until(lambda: "$G" in sent and answers)
kernel.console("clear_alarm\\n")
kernel.console("rect 10mm 10mm 5mm 5mm stroke black\\n")
kernel.console("element* engrave\\n")
began = time.time()
kernel.console("plan copy preprocess validate blob preopt optimize spool\\n")
until(lambda: "M5" in sent and "M5" in answers[-1])
burnt = sum(line.startswith("G1") for line in sent)
print("%d lines, %d of them burn, in %.1f s" % (len(sent), burnt, time.time() - began), flush=True)
os._exit(0 if burnt >= 4 else 1)
"""


def meerk40t(hubs):
    """Engraves a square, without its window."""
    program = os.path.join(hubs.peers, "meerk40t/bin/python")
    if not os.path.exists(program):
        raise Skip("not installed")
    home = tempfile.mkdtemp(dir=hubs.folder)
    done = subprocess.run([program, "-c", MEERK40T, hubs.laser["tcp"]], capture_output=True,
                          text=True, timeout=180, env={**os.environ, "HOME": home})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip().splitlines()[-1]


def esptool(hubs):
    """Resets a board by DTR and RTS. There is none: it must get as far as asking for it."""
    program = os.path.join(hubs.peers, "esptool/bin/esptool")
    if not os.path.exists(program):
        raise Skip("not installed")
    command = [program, "--port", "rfc2217://" + hubs.laser["rfc2217"], "--chip", "esp32",
               "--connect-attempts", "2", "--after", "no-reset", "chip-id"]
    began = time.time()
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    said = done.stdout + done.stderr
    assert "Failed to connect to ESP32" in said, said
    return "two resets and no board, after %.1f s" % (time.time() - began)


QUICK = [pyserial_pty, pyserial_socket, pyserial_rfc2217, socat_tcp, socat_pty, gensiot, picocom]
# esptool leaves half a line in the board
SLOW = [cncjs, meerk40t, octoprint, esptool]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("farhub")
    parser.add_argument("peers", help="where they are installed")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--all", action="store_true")
    args = parser.parse_args()
    stand = lambda folder: Hubs(args.farhub, args.peers, folder)
    main(QUICK + SLOW if args.all else QUICK, stand, args.names, limit=900)
