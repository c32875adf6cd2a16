"""Servers that are not ours, driven through the whole program: `cargo xtask peers driver`.

OctoPrint with its virtual printer, Moonraker, alone and with a Klipper that FARHUB_KLIPPER names,
and in the role of a Bambu printer mosquitto with vsftpd or pyftpdlib. What is done with each is in
story.py, how they are started in servers.py and bambu_server.py.
"""

import argparse, json, os, time

from bambu_server import Bambu, Pyftpdlib, Vsftpd
from peer import SOON, Skip, check, main, start, until
from servers import Moonraker, OctoPrint
from story import BACK_SOON, FAILED, REFUSED, at_the_door, files, gone_and_back, near, story
from story import with_hub


def driver_octoprint(stand):
    """A whole print, and a key that OctoPrint's owner allows."""

    def tell(hub, server):
        printer, said = story(hub, server)
        with check(server.name, "disconnected from its printer, and connected"):
            server.disconnect()
            state = printer.phase("error")["state"]
            assert "not connected" in state["faults"][0]["text"], state["faults"]
            printer.command("clear")
            printer.phase("idle")
        hub.json("printer", "remove", server.name)
        words = ["printer", "add", *server.words, "--name", "keyed", "--ask-key"]
        log = os.path.join(hub.folder, "asking.log")
        with check(server.name, "asks for a key, which is denied"):
            asking = start(hub.command(*words), log)
            server.decide(False)
            status = asking.wait(SOON)
            with open(log) as file:
                told = file.read()
            assert status == FAILED and "has denied the key" in told, (status, told)
            assert hub.json("printer", "list") == []
        with check(server.name, "asks for a key, which is allowed"):
            asking = start(hub.command(*words), log)
            server.decide(True)
            assert asking.wait(SOON) == 0
            until(lambda: hub.json("printer", "show", "keyed"),
                  lambda now: now["health"]["link"] == "online")
        return said + ", a key denied and one allowed"

    return with_hub(stand, OctoPrint(stand), tell)


def driver_moonraker(stand):
    """Without Klipper: what can be done then, and that this is said."""

    def tell(hub, server):
        printer = at_the_door(hub, server)
        with check(server.name, "that Klipper is not there is said"):
            printer.link("online")
            state = printer.phase("error")["state"]
            assert state["faults"][0]["text"] == "Klipper does not run on the printer", state
            assert "start" not in state["abilities"] and "upload" in state["abilities"], state
        name, content = server.short
        file = os.path.join(hub.folder, name)
        with open(file, "wb") as open_file:
            open_file.write(content)
        with check(server.name, "a file is sent, and cannot be printed"):
            printer.command("send", file)
            printer.listed(name, len(content))
            status, text = printer.refused("start", name)
            assert status != 0 and text, text
        with check(server.name, "of its history those prints become jobs that are new"):
            assert printer.jobs() == []
            server.stop()
            printer.link("offline", limit=BACK_SOON)
            ended = time.time()
            server.remember("old.gcode", ended - 86400, 600)
            server.remember("new.gcode", ended, 2)
            server.start()
            printer.link("online", limit=BACK_SOON)
            job = printer.ended(1)
            wanted = ("new.gcode", "finished", "history", 2)
            assert (job["name"], job["state"], job["known_by"], job["printed_s"]) == wanted, job
            near(job["started_us"], ended - 2, 1)
            near(job["ended_us"], ended, 1)
        files(printer)
        gone_and_back(printer)
        return "files, and a refusal: %s" % text.strip()

    return with_hub(stand, Moonraker(stand), tell)


def driver_klipper(stand):
    """With Klipper, where somebody has one built."""

    def tell(hub, server):
        printer, said = story(hub, server)
        with check(server.name, "Moonraker goes and comes in mid-print, which is one job"):
            printer.command("start", server.long[0])
            printer.phase(*server.going)
            server.stop_only("moonraker")
            printer.link("offline")
            server.start_moonraker()
            printer.link("online", limit=BACK_SOON)
            printer.phase(*server.going)
            printer.command("stop")
            printer.phase(*server.stopped)
            assert printer.ended(3)["state"] == "cancelled"
        with check(server.name, "Klipper is halted in mid-print, and told to start again"):
            printer.command("start", server.long[0])
            printer.phase(*server.going)
            printer.command("gcode", "M112")
            state = printer.phase("error")["state"]
            assert state["faults"], state
            job = printer.ended(4)
            # by its state or by its history, whichever comes first
            assert job["state"] == "failed", job
            printer.command("clear")
            # a process as MCU does not always come out of it: that it was asked to is ours
            until(lambda: b"config_reset" in server.told("klippy-own"))
        with check(server.name, "Klipper goes away, and comes back"):
            server.stop_only("klippy")
            printer.phase("error")
            server.start_klipper()
            printer.phase("idle", limit=BACK_SOON)
        return said

    klipper = os.environ.get("FARHUB_KLIPPER")
    if not klipper:
        raise Skip("FARHUB_KLIPPER names no Klipper: see CONTRIBUTING.md")
    return with_hub(stand, Moonraker(stand, klipper), tell)


def bambu(stand, server):
    """A story in the role of a Bambu printer, with what only they have."""

    def tell(hub, server):
        serial = list(server.words)
        serial[serial.index("--serial") + 1] = "01S00A000000009"
        with check(server.name, "another serial number than its certificate has"):
            status, text = hub.refused("printer", "add", *serial, says=server.secret)
            assert status == REFUSED and server.serial in text, (status, text)
        printer, said = story(hub, server)
        with check(server.name, "light and speed"):
            printer.command("light", "off")
            printer.until(lambda now: now["state"]["light_on"] is False)
            printer.command("speed", "124")
            printer.until(lambda now: now["state"]["speed_percent"] == 124)
        with check(server.name, "one connection to its broker, and no second"):
            until(lambda: server.robot.clients, lambda clients: clients == 2)
        with check(server.name, "without Developer Mode it takes no orders, and that is said"):
            server.robot.tell(fun="20000000")
            printer.until(lambda now: "developer mode" in now["state"].get("read_only", ""))
            status, text = printer.refused("light", "on")
            assert status != 0 and "eveloper" in text, (status, text)
            server.robot.tell(fun="0")
            printer.until(lambda now: "read_only" not in now["state"])
        with check(server.name, "what is no UTF-8 or no JSON does no harm"):
            server.robot.garbage()
            server.robot.tell(bed_temper=61)
            printer.until(lambda now: now["state"]["temperatures"]["bed"]["now_c"] == 61)
            assert printer.now()["health"]["link"] == "online"
        with check(server.name, "a certificate that was renewed is not taken"):
            server.stop()
            server.certify()
            server.start()
            hub.ask("POST", "/printers/%s/retry" % printer.name)
            wrong = lambda now: (now["health"].get("problem") or {}).get("reason")
            printer.until(lambda now: wrong(now) == "wrong_certificate", BACK_SOON)
            printer.command("set", "--forget-pin")
            printer.link("online")
        recorded(printer)
        return said

    return with_hub(stand, server, tell)


def recorded(printer):
    """What real printers answered to `pushall` and `get_version`, of a folder with an object with
    both in each file, where FARHUB_BAMBU_REPORTS names one."""
    folder = os.environ.get("FARHUB_BAMBU_REPORTS")
    for count, name in enumerate(sorted(os.listdir(folder)) if folder else []):
        with open(os.path.join(folder, name)) as file:
            answers = json.load(file)
        report = answers["pushall"]["print"]
        with check(printer.name, "the report of %s" % name):
            # told of last, so that all of the rest was taken too
            report["wifi_signal"] = "-%ddBm" % (30 + count)
            printer.server.robot.replay(report, answers["get_version"]["info"])
            state = printer.until(lambda now: now["state"].get("wifi_dbm") == -30 - count)["state"]
            assert state["phase"] not in ("unknown", "error"), state
            assert state["temperatures"]["bed"] and state["temperatures"]["hotends"], state


def driver_bambu_vsftpd(stand):
    """Which demands the session of the control connection for that of the data, as an X1 does."""
    return bambu(stand, Bambu(stand, Vsftpd(stand), deltas=False))


def driver_bambu_pyftpdlib(stand):
    """Which speaks TLS in Python's way; and only changes are told, as a P1 does."""
    return bambu(stand, Bambu(stand, Pyftpdlib(stand), deltas=True))


class Stand:
    def __init__(self, farhub, peers, folder):
        self.farhub, self.peers, self.folder = farhub, os.path.abspath(peers), folder
        # vsftpd has a user of its own
        os.chmod(folder, 0o755)


QUICK = [driver_moonraker, driver_klipper, driver_bambu_vsftpd, driver_bambu_pyftpdlib]
SLOW = [driver_octoprint]

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("farhub")
    parser.add_argument("peers", help="where they are installed")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--all", action="store_true")
    args = parser.parse_args()
    stand = lambda folder: Stand(args.farhub, args.peers, folder)
    main(QUICK + SLOW if args.all else QUICK, stand, args.names, limit=900)
