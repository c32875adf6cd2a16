"""Clients that are not ours, at our simulated printers: `cargo xtask peers printer`.

The example `printers` of the crate sim says where the printers are. Each peer is a function, as in
peers.py; its last words say what was done.
"""

import asyncio, hashlib, io, json, os, sys, time

from peer import SOON, Simulated, main, until as soon, until_told as until

GCODE = b";Generated with Cura_SteamEngine 5.0\n;TIME:600\n;LAYER_COUNT:40\nM140 S60\nM104 S215\n"
GCODE += b"G1 X1 Y1\n" * 20000


def pyprusalink(printers):
    import httpx
    from pyprusalink import PrusaLink
    from pyprusalink.types import Conflict, InvalidAuth, NotFound

    place, url = printers.places["prusalink"], printers.url("prusalink")
    began = time.time()

    async def refused(error, awaited):
        try:
            await awaited
        except error:
            return
        raise AssertionError("not refused")

    async def state(link):
        return (await link.get_status())["printer"]["state"]

    async def run():
        async with httpx.AsyncClient() as client:
            stranger = PrusaLink(client, url, "maker", "wrong")
            await refused(InvalidAuth, stranger.get_version())
            link = PrusaLink(client, url, "maker", place["secret"])
            version = await link.get_version()
            assert version["text"] == "PrusaLink" and version["capabilities"]["upload-by-put"]
            info = await link.get_info()
            assert info["serial"] and info["hostname"] == "prusalink", info
            assert await link.get_job() is None and await link.get_transfer() is None
            assert (await link.get_storage())[0]["path"] == "/usb/"
            assert await state(link) == "IDLE"
            key = {"X-Api-Key": place["secret"]}
            put = await client.put(url + "/api/v1/files/usb/peer.gcode", content=GCODE, headers=key)
            assert put.status_code == 201, put
            start = url + "/api/v1/files/usb/peer.gcode"
            assert (await client.post(start, headers=key)).status_code == 204
            job = await link.get_job()
            assert job["file"]["display_name"] == "peer.gcode" and job["state"] == "PRINTING", job
            content = await link.get_file(job["file"]["refs"]["download"])
            assert content == GCODE
            metadata = await link.get_file_metadata(job["file"]["refs"]["download"])
            assert isinstance(metadata, dict)
            await refused(NotFound, link.pause_job(job["id"] + 7))
            await refused(Conflict, link.resume_job(job["id"]))
            await link.pause_job(job["id"])
            assert await state(link) == "PAUSED"
            await asyncio.sleep(6)  # the nonce has died by now
            await link.resume_job(job["id"])
            telling = lambda: link.get_status()
            await until(telling, lambda s: s["printer"]["state"] == "FINISHED")
            assert (await link.get_job())["state"] == "FINISHED"
            assert (await client.post(start, headers=key)).status_code == 204
            job = await link.get_job()
            await link.cancel_job(job["id"])
            assert (await link.get_job())["state"] == "STOPPED"
            legacy = await link.get_legacy_printer()
            assert legacy["state"]["flags"]["ready"], legacy

    asyncio.run(run())
    prints = printers.order("prusalink", "truth")
    assert [p["end"] for p in prints] == ["Finished", "Cancelled"], prints
    assert prints[0]["pauses"] == 1
    return "upload, two prints, a dead nonce, in %.1f s" % (time.time() - began)


def prusalinkpy(printers):
    from PrusaLinkPy import PrusaLinkPy

    place = printers.places["prusalink"]
    link = PrusaLinkPy(place["host"], place["secret"], port=place["port"])
    assert link.get_version().json()["api"] and link.get_printer().json()["temperature"]
    local = os.path.join(printers.folder, "second.gcode")
    with open(local, "wb") as file:
        file.write(GCODE)
    assert link.put_gcode(local, "deep/second.gcode").status_code == 201
    assert link.put_gcode(local, "deep/second.gcode").status_code == 409
    assert link.put_gcode(local, "deep/second.gcode", overwrite=True).status_code == 201
    assert link.put_gcode(local, "second.txt").status_code == 415
    assert link.exists_gcode("deep/second.gcode") and not link.exists_gcode("deep/third.gcode")
    tree = link.get_recursive_files()
    assert "deep" in tree and "second.gcode" in tree["deep"], tree
    assert link.post_gcode("deep/second.gcode").status_code == 204
    assert link.delete("/deep/second.gcode").status_code == 409
    assert link.pause_print().status_code == 204 and link.resume_print().status_code == 204
    assert link.stop_print().status_code == 204
    printers.order("prusalink", "fault", "disk-full")
    assert link.put_gcode(local, "third.gcode").status_code == 507
    printers.order("prusalink", "fault", "none")
    assert link.delete("/deep/second.gcode").status_code == 204
    return "folders, 409, 415 and 507"


def moonraker_api(printers):
    from aiohttp import ClientSession, FormData
    from moonraker_api import MoonrakerClient, MoonrakerListener

    place, url = printers.places["moonraker"], printers.url("moonraker")
    began = time.time()

    class Listener(MoonrakerListener):
        def __init__(self):
            self.heard = []

        async def on_notification(self, method, data):
            self.heard.append((method, data, time.time()))

    async def run():
        listener = Listener()
        client = MoonrakerClient(
            listener, place["host"], place["port"], api_key=place["secret"], timeout=SOON
        )
        await client.connect()
        assert await client.get_klipper_status() == "ready"
        assert "print_stats" in await client.get_supported_modules()
        assert (await client.get_host_info())["state"] == "ready"
        assert isinstance((await client.get_websocket_id())["websocket_id"], int)
        objects = {"print_stats": None, "extruder": ["temperature", "target"]}
        first = await client.call_method("printer.objects.subscribe", objects=objects)
        assert first["status"]["print_stats"]["state"] == "standby", first
        assert set(first["status"]["extruder"]) == {"temperature", "target"}
        key = {"X-Api-Key": place["secret"]}
        async with ClientSession(headers=key) as session:
            def form(checksum):
                form = FormData()
                form.add_field("root", "gcodes")
                form.add_field("checksum", checksum)
                form.add_field("file", GCODE, filename="peer.gcode")
                return form
            path = url + "/server/files/upload"
            async with session.post(path, data=form("0" * 64)) as answer:
                assert answer.status == 422
            async with session.post(path, data=form(hashlib.sha256(GCODE).hexdigest())) as answer:
                assert answer.status == 201 and (await answer.json())["item"]["size"] == len(GCODE)
            ranged = {"Range": "bytes=10-"}
            path = url + "/server/files/gcodes/peer.gcode"
            async with session.get(path, headers=ranged) as answer:
                assert answer.status == 206 and await answer.read() == GCODE[10:]
            async with session.get(url + "/printer/objects/query?print_stats=state") as answer:
                status = (await answer.json())["result"]["status"]
                assert status["print_stats"]["state"] == "standby"
        async with ClientSession() as session:
            async with session.get(url + "/printer/info") as answer:
                assert answer.status == 401
        metadata = await client.call_method("server.files.metadata", filename="peer.gcode")
        assert metadata["estimated_time"] == 600 and metadata["layer_count"] == 40
        assert await client.call_method("printer.print.start", filename="peer.gcode") == "ok"
        refused = await client.call_method("printer.print.start", filename="peer.gcode")
        assert refused["error"]["code"] == 400, refused
        assert await client.call_method("printer.print.pause") == "ok"
        await client.call_method("printer.gcode.script", script="M220 S150")
        assert await client.call_method("printer.print.resume") == "ok"
        state = lambda: client.call_method("printer.objects.query", objects={"print_stats": None})
        done = lambda s: s["status"]["print_stats"]["state"] == "complete"

        async def told():
            told = [d for method, d, _ in listener.heard if method == "notify_history_changed"]
            return [one[0]["action"] for one in told]

        await until(state, done)
        await until(told, lambda actions: "finished" in actions)
        deltas = [at for method, _, at in listener.heard if method == "notify_status_update"]
        rate = (len(deltas) - 1) / (deltas[-1] - deltas[0])
        assert len(deltas) > 8 and rate < 4.5, (len(deltas), rate)
        actions = await told()
        assert actions == ["added", "finished"], actions
        files = [d[0]["action"] for m, d, _ in listener.heard if m == "notify_filelist_changed"]
        assert files == ["create_file"], files
        history = await client.call_method("server.history.list", limit=1)
        assert history["jobs"][0]["status"] == "completed", history
        await client.call_method("printer.emergency_stop")
        assert await client.get_klipper_status() == "shutdown"
        await client.call_method("printer.firmware_restart")
        assert await client.get_klipper_status() == "ready"
        await client.disconnect()
        return len(deltas), rate

    count, rate = asyncio.run(run())
    prints = printers.order("moonraker", "truth")
    assert [p["end"] for p in prints] == ["Finished"], prints
    return "%d deltas at %.1f Hz, in %.1f s" % (count, rate, time.time() - began)


def octorest(printers):
    import websocket
    from octorest import OctoRest, WorkflowAppKeyRequestResult

    url, began = printers.url("octoprint"), time.time()
    try:
        OctoRest(url=url, apikey="wrong")
        raise AssertionError("not refused")
    except RuntimeError:
        pass
    stranger = OctoRest(url=url)
    result, key = stranger.try_get_api_key("peers", "admin")
    assert result == WorkflowAppKeyRequestResult.GRANTED, result
    client = OctoRest(url=url, apikey=key)
    assert client.version["server"] == "1.11.8" and client.state() == "Operational"
    login = client.session.post(url + "/api/login", json={"passive": True}).json()
    socket = websocket.create_connection(url.replace("http", "ws") + "/sockjs/websocket")
    socket.settimeout(SOON)
    assert "connected" in json.loads(socket.recv())
    socket.send(json.dumps({"auth": "%s:%s" % (login["name"], login["session"])}))
    assert "history" in json.loads(socket.recv())
    socket.send(json.dumps({"throttle": 1}))
    put = client.upload(("peer.gcode", io.BytesIO(GCODE)))
    assert put["files"]["local"]["path"] == "peer.gcode", put
    assert {file["path"] for file in client.files()["files"]} == {"peer.gcode", "there.gcode"}
    info = client.files_info("local", "peer.gcode")
    assert info["hash"] == hashlib.sha1(GCODE).hexdigest() and info["size"] == len(GCODE)
    bytes_ = client.session.get(info["refs"]["download"], headers={"Range": "bytes=5-"})
    assert bytes_.status_code == 206 and bytes_.content == GCODE[5:]
    client.select("peer.gcode", print=True)
    client.pause()
    soon(lambda: client.job_info()["state"], lambda state: state != "Pausing")
    assert client.job_info()["state"] == "Paused"
    client.tool_target(200)
    client.bed_target(50)
    printer = client.printer()
    assert printer["temperature"]["tool0"]["target"] == 200 and printer["state"]["flags"]["paused"]
    client.gcode("M104 S205")
    client.resume()
    events, pushed = [], 0
    while "PrintDone" not in events:
        message = json.loads(socket.recv())
        pushed += "current" in message
        if "event" in message:
            events.append(message["event"]["type"])
    wanted = ["PrintStarted", "PrintPaused", "PrintResumed", "PrintDone"]
    assert [event for event in events if event in wanted] == wanted, events
    assert client.job_info()["progress"]["completion"] == 100
    client.start()
    client.cancel()
    client.delete("peer.gcode")
    client.disconnect()
    try:
        client.printer()
        raise AssertionError("not refused")
    except RuntimeError as error:
        assert "409" in str(error), error
    client.connect()
    assert client.printer()["state"]["flags"]["ready"]
    prints = printers.order("octoprint", "truth")
    assert [p["end"] for p in prints] == ["Finished", "Cancelled"], prints
    return "an app key, two prints, %d pushes, in %.1f s" % (pushed, time.time() - began)


PEERS = [pyprusalink, prusalinkpy, moonraker_api, octorest]


if __name__ == "__main__":
    example, *names = (word for word in sys.argv[1:] if word != "--all")
    main(PEERS, lambda folder: Simulated(example, folder, []), names, limit=300)
