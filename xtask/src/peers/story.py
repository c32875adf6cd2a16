"""What is done with each printer of drivers.py: from who mistypes its secret to how it comes back.

A hub is told of it by its command line, as people do that; each step prints a line.
"""

import hashlib, json, os, time

from peer import SOON, Following, Hub, check, free_port, until

# As farhub ends: see the end of `farhub --help`
FAILED, REFUSED = 1, 4
# The tries of a hub are 1, 2, 4, … and at last 60 s apart, by a fifth more or less
BACK_SOON = 90


class Driven:
    """A printer as the hub has it."""

    def __init__(self, hub, server):
        self.hub, self.server, self.name = hub, server, server.name

    def command(self, word, *words):
        return self.hub.json("printer", word, self.name, *words)

    def refused(self, word, *words):
        return self.hub.refused("printer", word, self.name, *words)

    def now(self):
        return self.command("show")

    def until(self, so, limit=SOON):
        return until(self.now, lambda now: so(now), limit)

    def phase(self, *phases, limit=SOON):
        return self.until(lambda now: now.get("state", {}).get("phase") in phases, limit)

    def link(self, link, limit=SOON):
        return self.until(lambda now: now["health"]["link"] == link, limit)

    def jobs(self):
        return self.hub.json("printer", "jobs", self.name)["jobs"]

    def ended(self, count):
        """The last job, when so many have ended."""
        is_over = lambda jobs: len(jobs) == count and all("ended_us" in job for job in jobs)
        return until(self.jobs, is_over)[0]

    def files(self):
        return {file["name"]: file for file in self.command("files", "--refresh")}

    def listed(self, name, bytes):
        """Waits until the hub knows of a file. Gives it."""
        there = lambda files: name in files and files[name].get("bytes") == bytes
        return until(self.files, there)[name]


def near(us, seconds, by):
    assert abs(us / 1e6 - seconds) <= by, "%.1f s, and not within %d s" % (us / 1e6 - seconds, by)


def problem(hub, body):
    """What the API says of such a printer."""
    return hub.ask("POST", "/printers/test", body)["problem"]["reason"]


def at_the_door(hub, server):
    """What is said to who mistypes something; then the printer is added."""
    name = server.name
    words = ["printer", "add", *server.words, "--name", name]
    with check(name, "a port where nobody listens"):
        at = words.index("--port") + 1
        port = free_port()
        status, text = hub.refused(*words[:at], port, *words[at + 1:], says=server.secret)
        assert status == FAILED and str(port) in text, (status, text)
        assert problem(hub, {**server.body, "port": port, "secret": "x"}) == "port_closed"
    with check(name, "a wrong secret"):
        status, text = hub.refused(*words, says="wrong-" + server.secret[:8])
        assert status == REFUSED, (status, text)
        assert problem(hub, {**server.body, "secret": "wrong"}) == "wrong_secret"
    assert hub.json("printer", "list") == [], "none of these was added"
    with check(name, "is added"):
        added = hub.json(*words, says=server.secret)
        assert added["name"] == name and added["address"]["has_secret"], added
        assert server.secret not in json.dumps(hub.json("printer", "show", name))
        assert hub.json("printer", "test", name)["problem"] is None
    return Driven(hub, server)


def a_stopped_print(printer):
    """Sent, started, paused, resumed and stopped; one who watches sees it all."""
    server = printer.server
    name, content = server.long
    file = os.path.join(printer.hub.folder, name)
    with open(file, "wb") as open_file:
        open_file.write(content)
    with check(printer.name, "a file of %d bytes is sent" % len(content)):
        printer.command("send", file)
        printer.listed(name, len(content))
        assert server.content(name) == content
    watching = Following(printer.hub, "printer", "show", printer.name, "--watch")
    going = server.going
    with check(printer.name, "it prints, and tells how far it is"):
        printer.command("start", name)
        printer.phase(*going)
        began = time.time()
        percent = lambda now: now["state"]["job"].get("progress_percent") or 0
        first = percent(printer.now())
        printer.until(lambda now: percent(now) > first)
        status, text = printer.refused("start", name)
        assert status != 0 and text, "a print on top of a print"
    with check(printer.name, "pause and resume"):
        printer.command("pause")
        printer.phase("paused")
        paused = time.time()
        until(time.time, lambda now: now > paused + 3)
        resumed = time.time()
        printer.command("resume")
        printer.phase(*going)
        at = percent(printer.now())
        printer.until(lambda now: percent(now) > at)
    phases = [now["state"]["phase"] for now in watching.stop() if now.get("state")]
    seen = [one for one, before in zip(phases, [None, *phases]) if one != before]
    with check(printer.name, "who watched saw %s" % ", ".join(seen)):
        at = seen.index("paused")
        assert seen[at - 1] in going and seen[at + 1] in going, seen
    with check(printer.name, "the hub is stopped and started in mid-print"):
        before = printer.jobs()
        printer.hub.end()
        printer.hub.begin()
        printer.link("online")
        printer.phase(*going)
        after = printer.jobs()
        assert [job["id"] for job in after] == [before[0]["id"]], (before, after)
    with check(printer.name, "stop, and its job"):
        printer.command("stop")
        printer.phase(*server.stopped)
        over = time.time()
        job = printer.ended(1)
        assert job["state"] == "cancelled" and job["known_by"] == server.knows, job
        assert job["name"] == server.shown(name), job
        near(job["started_us"], began, 5)
        near(job["ended_us"], over, 5)
        whole = (job["paused_s"] + job["printed_s"]) * 1e6
        near(whole, over - began, 3)
        if server.counts:
            near(job["paused_s"] * 1e6, resumed - paused, 2)
        assert 0 < job["progress_permille"] < 1000, job


def a_whole_print(printer):
    """Sent and started in one, to its end."""
    server = printer.server
    name, content = server.short
    file = os.path.join(printer.hub.folder, name)
    with open(file, "wb") as open_file:
        open_file.write(content)
    with check(printer.name, "a second print, to the end"):
        printer.command("send", file, "--start")
        printer.phase(*server.going)
        began = time.time()
        printer.phase("finished", limit=2 * SOON)
        over = time.time()
        job = printer.ended(2)
        assert job["state"] == "finished" and job["known_by"] == server.knows, job
        assert job["progress_permille"] == 1000, job
        near(job["started_us"], began, 5)
        near(job["ended_us"], over, 5)
        near((job["paused_s"] + job["printed_s"]) * 1e6, over - began, 3)
        assert job["paused_s"] <= 1 or not server.counts, job
        assert job["hash"] == hashlib.sha256(content).hexdigest(), job
    return over - began


def files(printer):
    """One that another program laid there comes here, and is deleted there."""
    content = b"; laid there by another program\n" + os.urandom(700_000).hex().encode()
    server = printer.server
    name = "there" + server.ending
    server.put(name, content)
    with check(printer.name, "%d bytes come here as they are" % len(content)):
        printer.listed(name, len(content))
        to = os.path.join(printer.hub.folder, "here-" + printer.name)
        printer.command("fetch", name, "--to", to)
        with open(to, "rb") as file:
            here = hashlib.sha256(file.read()).hexdigest()
        assert here == hashlib.sha256(content).hexdigest()
        assert printer.files()[name]["hash"] == here
    with check(printer.name, "it is deleted"):
        id = printer.files()[name]["id"]
        printer.hub.ask("DELETE", "/shop/files/%s?from_printer=true" % id)
        until(printer.files, lambda files: name not in files)
        assert not server.has(name)
    with check(printer.name, "a file that is not there"):
        _, text = printer.refused("start", "nowhere" + server.ending)
        assert text, text
        status, text = printer.refused("fetch", "nowhere" + server.ending)
        assert status == 5 and "has no file" in text, (status, text)


def gone_and_back(printer):
    """Switched off and on; its jobs stay two."""
    jobs = printer.jobs()
    with check(printer.name, "it goes away"):
        printer.server.stop()
        now = printer.link("offline", limit=BACK_SOON)
        assert now["health"]["problem"]["reason"] in ("lost", "port_closed"), now["health"]
        status, text = printer.refused("pause")
        assert status != 0 and text, text
    with check(printer.name, "and comes back by itself"):
        printer.server.start()
        printer.link("online", limit=BACK_SOON)
        printer.phase(*printer.server.rests)
    assert printer.jobs() == jobs, "nothing was printed meanwhile"


def story(hub, server):
    """All of it, for a printer that prints."""
    printer = at_the_door(hub, server)
    with check(server.name, "is seen live"):
        printer.link("online")
        printer.phase(*server.rests)
    a_stopped_print(printer)
    took = a_whole_print(printer)
    files(printer)
    gone_and_back(printer)
    return printer, "a print stopped, one of %.1f s to its end" % took


def with_hub(stand, server, tell):
    """Each peer has a hub of its own."""
    folder = os.path.join(stand.folder, server.name)
    hub = Hub(stand.farhub, folder)
    began = time.time()
    try:
        server.start()
        said = tell(hub, server)
        return "%s; in %.1f s" % (said, time.time() - began)
    finally:
        hub.end()
        server.stop()
