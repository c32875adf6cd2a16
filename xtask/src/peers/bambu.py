"""Clients that are not ours, at our simulated Bambu printers: bambulabs_api, paho-mqtt, curl.

The example `printers` of the crate sim says where the printers are. Each peer is a function, as in
peers.py; its last words say what was done.
"""

import base64, hashlib, io, json, os, ssl, subprocess, sys, tempfile, time

from peer import SOON, Simulated, main, until

GCODE = b";TIME:600\n;LAYER_COUNT:40\nM140 S60\nM104 S215\n" + b"G1 X1 Y1\n" * 200000


def bambulabs_api(printers):
    return " | ".join(one_with_bambulabs_api(printers, name) for name in ("bambu-a1", "bambu-p1"))


def one_with_bambulabs_api(printers, name):
    import bambulabs_api
    from bambulabs_api.mqtt_client import PrinterMQTTClient
    from PIL import Image

    place, began = printers.places[name], time.time()
    printer = bambulabs_api.Printer(place["host"], place["secret"], place["serial_number"])
    # It has no other way to be told of ports.
    printer.mqtt_client = PrinterMQTTClient(
        place["host"], place["secret"], place["serial_number"], port=place["port"]
    )
    printer.ftp_client.port = place["files_port"]
    printer.camera_client._PrinterCamera__port = place["camera_port"]
    printer.connect()
    until(printer.mqtt_client_ready, bool)
    state = lambda wanted: until(lambda: printer.get_state().name, lambda s: s == wanted)
    state("IDLE")
    assert until(printer.mqtt_client.firmware_version, bool)[0] == "0"
    assert printer.get_bed_temperature() == 23.0 and printer.nozzle_diameter() == 0.4
    hub = printer.ams_hub()
    assert [hub[0][slot].tray_type for slot in (0, 2)] == ["PLA", "PETG"]
    assert 3 not in hub[0].filament_trays
    printer.turn_light_off()
    until(printer.get_light_state, lambda mode: mode == "off")
    printer.turn_light_on()
    until(printer.get_light_state, lambda mode: mode == "on")

    said = printer.upload_file(io.BytesIO(GCODE), "peer.gcode.3mf")
    assert said.startswith("226"), said
    said, lines = printer.ftp_client.list_directory()
    there = [line for line in lines if line.endswith(" peer.gcode.3mf")]
    assert len(there) == 1 and str(len(GCODE)) in there[0], lines
    back = printer.ftp_client.download_file("peer.gcode.3mf")
    assert hashlib.sha256(back.getvalue()).digest() == hashlib.sha256(GCODE).digest()

    frame = until(lambda: printer.camera_client.last_frame, lambda frame: frame is not None)
    picture = Image.open(io.BytesIO(base64.b64decode(printer.get_camera_frame())))
    picture.load()
    assert picture.size == (1280, 720) and picture.mode == "RGB", picture

    assert printer.start_print("peer.gcode.3mf", 1, use_ams=True, ams_mapping=[1])
    state("RUNNING")
    assert printer.gcode_file() == "peer.gcode.3mf" and printer.subtask_name() == "peer"
    assert printer.pause_print()
    state("PAUSE")
    assert printer.get_current_state().name == "PAUSED_USER"
    printer.set_print_speed(3)
    assert printer.resume_print()
    state("RUNNING")
    until(printer.get_percentage, lambda percent: percent >= 20)
    assert 0 < printer.current_layer_num() <= printer.total_layer_num() == 40
    state("FINISH")
    assert printer.get_percentage() == 100
    assert printer.start_print("peer.gcode.3mf", 1, use_ams=False)
    state("RUNNING")
    assert printer.stop_print()
    state("FAILED")
    assert until(printer.print_error_code, bool) == 0x0300400C
    printer.delete_file("peer.gcode.3mf")
    _, lines = printer.ftp_client.list_directory()
    assert not any("peer" in line for line in lines), lines
    printer.disconnect()
    prints = printers.order(name, "truth")
    assert [p["end"] for p in prints] == ["Finished", "Cancelled"], prints
    assert prints[0]["pauses"] == 1
    return "%s: %d bytes up and down, a picture of %d bytes, two prints, in %.1f s" % (
        place["model"], len(GCODE), len(frame), time.time() - began)


def paho(printers):
    import paho.mqtt.client as mqtt

    place = printers.places["bambu-x1"]
    report, request = ("device/%s/%s" % (place["serial_number"], t) for t in ("report", "request"))

    def heard_log(client, _, level, text):
        client.pings += "PINGRESP" in text

    def client(code, keep_alive=5):
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        client.username_pw_set("bblp", code)
        client.tls_set(cert_reqs=ssl.CERT_NONE)
        client.tls_insecure_set(True)
        client.heard, client.codes, client.lost, client.pings = [], [], [], 0
        client.on_message = lambda c, _, m: client.heard.append((m.topic, json.loads(m.payload)))
        client.on_connect = lambda c, _, flags, code, p: client.codes.append(code)
        client.on_disconnect = lambda c, _, flags, code, p: client.lost.append(code)
        client.on_log = heard_log
        client.connect(place["host"], place["port"], keep_alive)
        client.loop_start()
        return client

    stranger = client("wrong")
    assert until(lambda: stranger.codes, bool)[0] == "Not authorized", stranger.codes
    stranger.loop_stop()
    clients = [client(place["secret"]) for _ in range(4)]
    for one in clients:
        assert until(lambda: one.codes, bool)[0] == "Success"
    fifth = client(place["secret"])
    assert until(lambda: fifth.codes, bool)[0] == "Server unavailable", fifth.codes
    fifth.loop_stop()
    clients[0].subscribe(report)
    clients[1].subscribe("device/+/report")
    clients[2].subscribe("#", 1)
    clients[3].subscribe("device/other/report")
    asked = {"print": {"sequence_id": "7", "command": "gcode_line", "param": "M140 S55\n"}}
    # A client hears from when it was granted on
    def bed(c):
        clients[3].publish(request, json.dumps(asked), qos=1).wait_for_publish(SOON)
        return [m["print"] for _, m in c.heard if m["print"].get("bed_target_temper") == 55]
    for one in clients[:3]:
        found = until(lambda: bed(one), bool)[0]
        assert found["msg"] == 0 and found["fun"] and found["stg_cur"] == -1, "an X1 tells all"
        echoes = lambda: bed(one) and [
            m["print"] for _, m in one.heard if m["print"]["command"] == "gcode_line"]
        echo = until(echoes, bool)[0]
        assert (echo["result"], echo["sequence_id"]) == ("success", "7")
    assert not clients[3].heard
    until(lambda: all(one.pings >= 2 for one in clients))
    assert not any(one.lost for one in clients), "kept alive by pings"
    for one in clients:
        one.disconnect()
        one.loop_stop()
    return "4 clients, a 5th and a stranger refused, %d reports" % len(clients[0].heard)


def curl(printers):
    done = []
    with tempfile.TemporaryDirectory(dir=printers.folder) as folder:
        up, down = os.path.join(folder, "up.3mf"), os.path.join(folder, "down.3mf")
        with open(up, "wb") as file:
            file.write(os.urandom(3_000_000))
        for name, place in printers.places.items():
            url = "ftps://%s:%d/" % (place["host"], place["files_port"])

            def run(*words, code="bblp:" + place["secret"]):
                command = ["curl", "-sSk", "--max-time", "60", "-u", code, *words]
                return subprocess.run(command, capture_output=True, text=True)

            refused = run(url, code="bblp:wrong")
            assert refused.returncode == 67, refused
            for words in (["-T", up, url + "cache/up.3mf"], ["-o", down, url + "cache/up.3mf"]):
                ran = run(*words)
                assert ran.returncode == 0, (name, ran)
            assert open(up, "rb").read() == open(down, "rb").read()
            with open(down, "r+b") as file:
                file.truncate(1_000_000)
            ran = run("-C", "-", "-o", down, url + "cache/up.3mf")
            assert ran.returncode == 0 and open(up, "rb").read() == open(down, "rb").read(), ran
            listing = run(url).stdout
            assert all(n in listing for n in ("cache", "timelapse", "image", "logger")), listing
            assert "3000000" in run(url + "cache/").stdout
            run(url, "-Q", "DELE /cache/up.3mf")
            assert run(url + "cache/").stdout == ""
            assert "there.gcode" in run(url, "--list-only", "-Q", "CWD /../..").stdout
            done.append(place["model"])
    return "up, down, resumed and deleted on " + ", ".join(done)


PEERS = [bambulabs_api, paho, curl]


if __name__ == "__main__":
    example, *names = (word for word in sys.argv[1:] if word != "--all")
    main(PEERS, lambda folder: Simulated(example, folder, ["120", "bambu"]), names, limit=300)
