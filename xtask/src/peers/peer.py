"""What the scripts of `cargo xtask peers` have in common.

Children that end when the script does, however it ends; waiting for what is so, with a limit; our
simulated printers; a hub; and a line for each peer. A peer is a function; its last words are
figures. It fails by an exception, and is skipped by Skip.
"""

import asyncio, atexit, contextlib, http.client, json, os, select, shutil, signal, socket
import subprocess, sys, tempfile, time, traceback, urllib.error, urllib.request, warnings

SOON = 30


class Skip(Exception):
    """Cannot be done here."""


class TimeUp(BaseException):
    """The script as a whole takes too long; no peer may go on."""


def until(ask, so=bool, limit=SOON):
    """Asks again until it is so."""
    ends = time.time() + limit
    while True:
        answer = ask()
        if so(answer):
            return answer
        assert time.time() < ends, "not within %d s: %s" % (limit, str(answer)[:900])
        time.sleep(0.05)


async def until_told(ask, so=bool):
    """The same where the answer has to be awaited."""
    ends = time.time() + SOON
    while True:
        answer = await ask()
        if so(answer):
            return answer
        assert time.time() < ends, answer
        await asyncio.sleep(0.05)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def call(url, body=None, headers={}, method=None):
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", **headers}
    request = urllib.request.Request(url, data, headers, method=method)
    with urllib.request.urlopen(request, timeout=SOON) as answer:
        return json.loads(answer.read() or b"null")


def listens(port, child=None, limit=SOON):
    """Waits until somebody takes connections there."""

    def connected():
        assert child is None or child.poll() is None, "it has ended: see its log"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return True
        except OSError:
            return False

    until(connected, limit=limit)


def ready(url, child, limit=120):
    """Waits until a web server answers. One that only says that it starts is no real one."""

    def answers():
        assert child.poll() is None, "it has ended: see its log"
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return True
        except urllib.error.HTTPError as error:
            return error.code < 500
        except (OSError, http.client.HTTPException):
            return False

    until(answers, limit=limit)


CHILDREN = []


def start(command, log=None, **more):
    """Starts a program in a session of its own. It is killed when we end, even if we are killed."""
    if log:
        with open(log, "a") as file:
            more.setdefault("stdout", file)
            more.setdefault("stderr", file)
            return start(command, **more)
    command = ["setpriv", "--pdeathsig", "KILL", "--", *command]
    child = subprocess.Popen(command, start_new_session=True, **more)
    CHILDREN.append(child)
    return child


def stop(child, how=signal.SIGTERM):
    """Ends a child and those that it has started."""
    for sign, limit in ((how, 10), (signal.SIGKILL, SOON)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, sign)
        try:
            child.wait(limit)
            break
        except subprocess.TimeoutExpired:
            pass
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    CHILDREN.remove(child)


@atexit.register
def stop_all():
    for child in reversed(CHILDREN[:]):
        stop(child, signal.SIGKILL)


@contextlib.contextmanager
def check(peer, what):
    """A line for what was looked at."""
    began = time.time()
    try:
        yield
    except Exception as error:
        error.add_note("%s: %s" % (peer, what))
        raise
    print("ok    %-18s %s, %.1f s" % (peer, what, time.time() - began), flush=True)


def run(peers, stand, names):
    """A line for each peer. Gives the exit status."""
    failed = ran = 0
    for peer in peers:
        if names and not any(name in peer.__name__ for name in names):
            continue
        ran += 1
        try:
            word, said = "PASS", peer(stand)
        except Skip as skip:
            word, said = "SKIP", skip
        except Exception as error:
            notes = " ".join(getattr(error, "__notes__", []))
            word, said, failed = "FAIL", "%s %s" % (notes, repr(error)[:1000]), failed + 1
            if os.environ.get("PEERS_TRACE"):
                traceback.print_exc()
        print("%s  %-18s %s" % (word, peer.__name__, said), flush=True)
    return 1 if failed else 0


def main(peers, stand, names, limit):
    """The script: `stand` is called to set up what the peers are handed."""
    warnings.simplefilter("ignore")
    chosen = [peer for peer in peers if not names or any(n in peer.__name__ for n in names)]
    if not chosen:
        return

    def end(signal, _):
        raise TimeUp("ended by a signal" if signal == 15 else "not done after %d s" % limit)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGALRM, end)
    signal.alarm(limit)
    folder = tempfile.mkdtemp(prefix="farhub-peers-")
    status = 1
    try:
        status = run(chosen, stand(folder), [])
    except TimeUp as error:
        print("FAIL  %s" % error, flush=True)
    finally:
        signal.alarm(0)
        stop_all()
        if status:
            print("      what they said is in %s" % folder, flush=True)
        else:
            shutil.rmtree(folder)
    sys.exit(status)


class Simulated:
    """The example `printers` of the crate sim: our printers, and what happened in them."""

    def __init__(self, example, folder, words):
        self.folder = folder
        log = open(os.path.join(folder, "printers.log"), "w")
        pipe = subprocess.PIPE
        command = [os.path.abspath(example), *words]
        self.process = start(command, stdin=pipe, stdout=pipe, stderr=log, text=True)
        self.places = {}
        for _ in range(3):
            place = json.loads(self.process.stdout.readline())
            self.places[place["name"]] = place

    def url(self, name):
        return "http://%(host)s:%(port)d" % self.places[name]

    def order(self, *words):
        self.process.stdin.write(" ".join(words) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())["prints"]


class Hub:
    """The whole program: `farhub up` in a folder of its own, and its command line."""

    def __init__(self, farhub, folder):
        self.farhub, self.folder = os.path.abspath(farhub), folder
        self.data = os.path.join(folder, "hub")
        os.makedirs(self.data, mode=0o700)
        self.begin()

    def begin(self):
        command = [self.farhub, "--data", self.data, "--json", "up", "--offline", "--name", "hub"]
        command += ["--listen", "127.0.0.1:0", "--bind", "127.0.0.1:0"]
        log = os.path.join(self.folder, "hub.log")
        self.up = start(command, log, stdout=subprocess.PIPE, text=True)
        assert "ready" in self.up.stdout.readline(), "the hub does not start: see %s" % log

    def end(self):
        stop(self.up, signal.SIGINT)

    def command(self, *words):
        return [self.farhub, "--data", self.data, "--json", *map(str, words)]

    def ran(self, *words, says=""):
        """A command, with a line of input."""
        return subprocess.run(self.command(*words), input=says + "\n", capture_output=True,
                              text=True, timeout=180)

    def json(self, *words, says=""):
        done = self.ran(*words, says=says)
        assert done.returncode == 0, (words, done.returncode, done.stderr.strip())
        return json.loads(done.stdout) if done.stdout.strip() else None

    def refused(self, *words, says=""):
        """A command that must fail: its exit status, and what people are told."""
        done = self.ran(*words, says=says)
        assert done.returncode != 0, (words, done.stdout)
        error = json.loads(done.stderr.strip().splitlines()[-1])["error"]
        return done.returncode, "%s %s" % (error["message"], error["hint"] or "")

    def ask(self, method, path, body=None):
        """The REST API, at the hub's own socket."""
        link = http.client.HTTPConnection("localhost", timeout=SOON)
        link.sock = socket.socket(socket.AF_UNIX)
        link.sock.settimeout(SOON)
        link.sock.connect(os.path.join(self.data, "hub.sock"))
        data = None if body is None else json.dumps(body)
        link.request(method, "/api/v1" + path, data, {"Content-Type": "application/json"})
        answer = link.getresponse()
        text = answer.read()
        assert answer.status < 300, (method, path, answer.status, text)
        return json.loads(text) if text else None


class Following:
    """A command that goes on telling, a JSON document in each line."""

    def __init__(self, hub, *words):
        self.lines, self.rest = [], b""
        log = os.path.join(hub.folder, "following.log")
        self.child = start(hub.command(*words), log, stdout=subprocess.PIPE)

    def heard(self):
        """All so far."""
        while select.select([self.child.stdout], [], [], 0)[0]:
            some = os.read(self.child.stdout.fileno(), 1 << 16)
            if not some:
                break
            *lines, self.rest = (self.rest + some).split(b"\n")
            self.lines += [json.loads(line) for line in lines if line.strip()]
        return self.lines

    def stop(self):
        heard = self.heard()
        stop(self.child)
        return heard
