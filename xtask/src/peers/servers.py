"""The servers of drivers.py, each in a folder of its own and at free ports.

A server has what `farhub printer add` is told of it (`words`, `secret`), what its printer is called
in which state, files to print, and another way to lay files there than ours.
"""

import http.client, json, os, socket, sqlite3, subprocess, uuid

from peer import SOON, Skip, call, free_port, ready, start, stop, until


def dwells(seconds):
    """A program that takes so long wherever a line waits for its dwell."""
    lines = ["G4 P100" for _ in range(seconds * 10)]
    return "\n".join([";TIME:%d" % seconds, "G21", "G90", *lines, "M400", ""]).encode()


class Server:
    ending = ".gcode"
    long, short = ("long.gcode", dwells(120)), ("short.gcode", dwells(6))
    # What its printer is called while it prints, when it was stopped, and when it does nothing
    going, stopped, rests = {"preparing", "printing"}, ["stopped"], ["idle", "finished"]
    # How the end of a job is known that the hub has watched
    knows = "seen"
    # Whether it counts how long it has printed
    counts = True

    def __init__(self, stand, name, protocol, port):
        self.name, self.port, self.stand = name, port, stand
        self.folder = os.path.join(stand.folder, name)
        os.makedirs(self.folder)
        self.words = ["127.0.0.1", "--protocol", protocol, "--port", str(port)]
        self.body = {"protocol": protocol, "host": "127.0.0.1", "port": port}
        self.children = []

    def log(self, name):
        return os.path.join(self.folder, name + ".log")

    def told(self, name):
        with open(self.log(name), "rb") as file:
            return file.read()

    def path(self, *names):
        """Below its folder, which is made."""
        path = os.path.join(self.folder, *names)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return path

    def write(self, name, text, mode=0o644):
        path = self.path(name)
        with open(path, "w" if isinstance(text, str) else "wb") as file:
            file.write(text)
        os.chmod(path, mode)
        return path

    def run(self, name, command, **more):
        child = start(command, self.log(name), **more)
        self.children.append(child)
        return child

    def stop(self):
        while self.children:
            stop(self.children.pop())

    def shown(self, name):
        """What the printer calls the print of a file."""
        return name

    def has(self, name):
        return os.path.exists(os.path.join(self.files, name))

    def content(self, name):
        with open(os.path.join(self.files, name), "rb") as file:
            return file.read()

    def put(self, name, content):
        """At once, as a program does that renames."""
        half = self.write("half", content)
        os.rename(half, os.path.join(self.files, name))


class OctoPrint(Server):
    """With its virtual printer, which obeys dwells."""

    def __init__(self, stand):
        self.program = os.path.join(stand.peers, "octoprint/bin/octoprint")
        if not os.path.exists(self.program):
            raise Skip("not installed: --all")
        super().__init__(stand, "octoprint", "octoprint", free_port())
        self.base = self.path("base")
        self.files = self.path("base", "uploads")
        os.makedirs(self.files)
        self.url, self.secret = "http://127.0.0.1:%d" % self.port, uuid.uuid4().hex.upper()
        self.words += ["--title", "Virtual"]
        self.write("base/config.yaml", """
serial: {port: VIRTUAL, autoconnect: true}
server: {firstRun: false, onlineCheck: {enabled: false}, seenWizards: {}}
accessControl: {salt: x}
plugins:
  virtual_printer: {enabled: true}
  _disabled: [tracking, errortracking, pluginmanager, softwareupdate, announcements, discovery]
""")
        command = [self.program, "--basedir", self.base, "user", "add", "--password", "pw"]
        subprocess.run([*command, "--admin", "owner"], check=True, capture_output=True)
        users = self.path("base", "users.yaml")
        with open(users) as file:
            text = file.read()
        assert "apikey: null" in text, text
        self.write("base/users.yaml", text.replace("apikey: null", "apikey: " + self.secret))

    def start(self):
        command = [self.program, "--basedir", self.base, "serve", "--iknowwhatimdoing"]
        command += ["--host", "127.0.0.1", "--port", str(self.port)]
        child = self.run("octoprint", command)
        ready(self.url + "/api/version", child, 240)

        def connected():
            try:
                return self.call("/api/connection")["current"]["state"] == "Operational"
            except (OSError, http.client.HTTPException):
                return False

        until(connected, limit=240)

    def call(self, path, body=None, method=None):
        return call(self.url + path, body, {"X-Api-Key": self.secret}, method)

    def put(self, name, content):
        """As a slicer does."""
        with open(self.write(name, content), "rb") as file:
            command = ["curl", "-sSf", "-H", "X-Api-Key: " + self.secret]
            command += ["-F", "file=@" + file.name]
            subprocess.run([*command, self.url + "/api/files/local"], check=True,
                           capture_output=True)

    def disconnect(self):
        self.call("/api/connection", {"command": "disconnect"})

    def decide(self, granted):
        """As its owner does who sees the question on its page."""
        pending = until(lambda: self.call("/api/plugin/appkeys")["pending"])
        for token in pending:
            self.call("/plugin/appkeys/decision/" + token, {"decision": granted})


class Moonraker(Server):
    """Which lets nobody in without its key, and has a history."""

    knows = "history"
    # From the first extrusion on, and a printer without pins has none
    counts = False

    def __init__(self, stand, klipper=None):
        self.python = os.path.join(stand.peers, "moonraker/bin/python")
        name = "klipper" if klipper else "moonraker"
        super().__init__(stand, name, "moonraker", free_port())
        self.words.append("--secret")
        self.klipper, self.rests = klipper, ["idle", "finished"] if klipper else ["error"]
        self.data = self.path("data")
        self.files = self.path("data", "gcodes")
        os.makedirs(self.files)
        self.write("data/config/moonraker.conf", """
[server]
host: 127.0.0.1
port: %d
klippy_uds_address: %s
[authorization]
enable_api_key: True
[machine]
provider: none
validate_service: False
""" % (self.port, self.path("klippy.sock")))
        self.at = self.path("data", "comms", "moonraker.sock")
        # The key is made by the first start
        self.start()
        self.secret = self.of_socket("access.get_api_key")
        self.stop()

    def of_socket(self, method):
        """At its own socket it asks for no key."""
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(SOON)
            link.connect(self.at)
            asked = {"jsonrpc": "2.0", "method": method, "id": 1}
            link.sendall(json.dumps(asked).encode() + b"\x03")
            heard = b""
            while True:
                heard += link.recv(1 << 16)
                for message in map(json.loads, heard.split(b"\x03")[:-1]):
                    if message.get("id") == 1:
                        return message["result"]

    def start(self):
        if self.klipper:
            self.start_klipper()
        self.start_moonraker()

    def start_moonraker(self):
        child = self.run("moonraker", [self.python, "-m", "moonraker", "-d", self.data, "-n"])
        url = "http://127.0.0.1:%d/server/info" % self.port
        ready(url, child)
        until(lambda: os.path.exists(self.at))
        if self.klipper:
            state = lambda: self.of_socket("server.info")["klippy_state"]
            until(state, lambda state: state == "ready", limit=2 * SOON)

    def remember(self, name, ended, lasted):
        """Writes into its history, while it is stopped, what Klipper would have told."""
        with sqlite3.connect(self.path("data", "database", "moonraker-sql.db")) as database:
            database.execute(
                "INSERT INTO job_history (user, filename, status, start_time, end_time,"
                " print_duration, total_duration, filament_used, metadata, auxiliary_data,"
                " instance_id) VALUES ('No User', ?, 'completed', ?, ?, ?, ?, 120.5, '{}', '[]',"
                " 'default')", (name, ended - lasted, ended, lasted, lasted))
        database.close()

    def start_klipper(self):
        """The MCU is a process of this computer, as Klipper has one, and has no pins."""
        home = os.path.abspath(self.klipper)
        parts = [os.path.join(home, part) for part in
                 ("out/klipper.elf", "klippy-env/bin/python", "klippy/klippy.py")]
        missing = [part for part in parts if not os.path.exists(part)]
        assert not missing, "FARHUB_KLIPPER: there is no %s" % missing
        mcu, python, klippy = parts
        link = self.path("mcu")
        config = self.write("data/config/printer.cfg", """
[mcu]
serial: %s
[printer]
kinematics: none
max_velocity: 300
max_accel: 3000
[virtual_sdcard]
path: %s
[pause_resume]
[display_status]
""" % (link, self.files))
        self.run("mcu", [mcu, "-I", link])
        until(lambda: os.path.exists(link))
        command = [python, klippy, config, "-I", self.path("tty"), "-a", self.path("klippy.sock")]
        self.run("klippy", [*command, "-l", self.log("klippy-own")])

    def stop_only(self, name):
        """`moonraker`, or `klippy` and its MCU."""
        is_moonraker = lambda child: "moonraker" in child.args
        mine = [one for one in self.children if is_moonraker(one) == (name == "moonraker")]
        for child in mine:
            self.children.remove(child)
            stop(child)
