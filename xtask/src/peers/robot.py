"""What a Bambu printer says and does, at the broker that drivers.py gives it.

It is a client of the broker like the hub: reads what is asked of the printer, and tells reports as
printers do (OpenBambuAPI mqtt.md). It prints by counting.
"""

import copy, json, os, re, threading, time, zipfile

import paho.mqtt.client as mqtt

# Of an X1C and a P1S at rest, what matters to anybody
AT_REST = {
    "gcode_state": "IDLE", "mc_percent": 0, "mc_remaining_time": 0, "layer_num": 0,
    "total_layer_num": 0, "gcode_file": "", "subtask_name": "", "task_id": "0", "subtask_id": "0",
    "project_id": "0", "print_type": "idle", "print_error": 0, "stg_cur": 255, "stg": [],
    "nozzle_temper": 24.5, "nozzle_target_temper": 0, "bed_temper": 23.0, "bed_target_temper": 0,
    "chamber_temper": 5, "cooling_fan_speed": "0", "big_fan1_speed": "0", "big_fan2_speed": "0",
    "heatbreak_fan_speed": "0", "spd_lvl": 2, "spd_mag": 100, "wifi_signal": "-48dBm",
    "home_flag": 0x100, "sdcard": True, "hms": [], "nozzle_diameter": "0.4",
    "lights_report": [{"node": "chamber_light", "mode": "on"}],
    "ipcam": {"ipcam_dev": "1", "ipcam_record": "enable"},
}
CANCELLED = 0x0300400C
CLIENTS = "$SYS/broker/clients/connected"
STEP_S = 0.25


class Robot:
    def __init__(self, serial, port, card, deltas):
        self.serial, self.card, self.deltas = serial, card, deltas
        self.status, self.count = copy.deepcopy(AT_REST), 0
        self.left = self.total = 0
        # Of the broker, as it says once a second; we are one of them
        self.clients = None
        self.lock, self.ended = threading.RLock(), threading.Event()
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        subscribed = threading.Event()
        topics = [("device/%s/request" % serial, 1), (CLIENTS, 0)]
        self.client.on_connect = lambda c, *_: c.subscribe(topics)
        self.client.on_subscribe = lambda *_: subscribed.set()
        self.client.on_message = lambda c, _, message: self.heard(message)
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        assert subscribed.wait(10), "the broker does not take its printer"
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()

    def stop(self):
        self.ended.set()
        self.thread.join()
        self.client.disconnect()
        self.client.loop_stop()

    def say(self, message):
        payload = message if isinstance(message, bytes) else json.dumps(message)
        self.client.publish("device/%s/report" % self.serial, payload)

    def tell(self, whole=False, **changes):
        """All, or what is new."""
        with self.lock:
            self.status.update(changes)
            self.count += 1
            is_whole = whole or not self.deltas
            news = self.status if is_whole else changes
            head = {"command": "push_status", "msg": 0 if is_whole else 1,
                    "sequence_id": str(self.count)}
            self.say({"print": {**news, **head}})

    def garbage(self):
        self.say(b"\xff\xfe{")
        self.say(b'{"print": {"command": "push_status", "gcode_file": "\xe9.3mf"')
        self.say({"print": [], "liveview": {"command": "x"}})

    def replay(self, report, versions):
        """Tells all that a real printer has told, in place of what was."""
        with self.lock:
            self.status, self.total = report, 0
            self.say({"info": {**versions, "command": "get_version"}})
            self.tell(whole=True)

    def heard(self, message):
        if message.topic == CLIENTS:
            self.clients = int(message.payload)
        else:
            self.asked(json.loads(message.payload))

    def asked(self, message):
        for kind, body in message.items():
            with self.lock:
                self.obey(kind, body.get("command"), body)

    def obey(self, kind, command, body):
        if command == "pushall":
            return self.tell(whole=True)
        answer = {**body, "result": "success", "reason": ""}
        if command == "get_version":
            ours = {"name": "ota", "sw_ver": "01.06.00.00", "sn": self.serial, "hw_ver": "OTA"}
            answer["module"] = [ours]
            return self.say({kind: answer})
        refusal = {"project_file": self.begin, "pause": self.pause, "resume": self.resume,
                   "stop": self.cancel, "ledctrl": self.light, "print_speed": self.speed,
                   "gcode_line": lambda body: None}[command](body)
        if refusal:
            answer.update(result="fail", reason=refusal)
        self.say({kind: answer})
        return None

    def begin(self, body):
        name = body["url"].removeprefix("ftp:///")
        path = os.path.join(self.card, name)
        if self.status["gcode_state"] not in ("IDLE", "FINISH", "FAILED"):
            return "busy"
        if not os.path.exists(path):
            return "no such file"
        with zipfile.ZipFile(path) as project:
            said = project.read(body["param"]).decode()
        self.total = self.left = float(re.search(r"^;TIME:(\d+)", said)[1])
        self.tell(gcode_state="PREPARE", gcode_file=name, subtask_name=body["subtask_name"],
                  task_id=body["task_id"], subtask_id=body["subtask_id"], mc_percent=0,
                  project_id=body["project_id"], print_type="local", layer_num=0, stg_cur=2,
                  total_layer_num=40, gcode_start_time=str(int(time.time())), print_error=0)
        return None

    def pause(self, _):
        if self.status["gcode_state"] != "RUNNING":
            return "not printing"
        return self.tell(gcode_state="PAUSE", stg_cur=16)

    def resume(self, _):
        if self.status["gcode_state"] != "PAUSE":
            return "not paused"
        return self.tell(gcode_state="RUNNING", stg_cur=0)

    def cancel(self, _):
        if self.status["gcode_state"] not in ("PREPARE", "RUNNING", "PAUSE"):
            return "not printing"
        return self.tell(gcode_state="FAILED", print_error=CANCELLED, stg_cur=255)

    def light(self, body):
        self.tell(lights_report=[{"node": body["led_node"], "mode": body["led_mode"]}])

    def speed(self, body):
        level = int(body["param"])
        self.tell(spd_lvl=level, spd_mag=[50, 100, 124, 166][level - 1])

    def work(self):
        while not self.ended.wait(STEP_S):
            with self.lock:
                self.step()

    def step(self):
        if not self.total:
            return None
        if self.status["gcode_state"] == "PREPARE":
            return self.tell(gcode_state="RUNNING", stg_cur=0, layer_num=1)
        if self.status["gcode_state"] != "RUNNING":
            return None
        self.left = max(0, self.left - STEP_S)
        done = 1 - self.left / self.total
        if done < 1:
            return self.tell(mc_percent=int(100 * done), layer_num=1 + int(39 * done),
                             mc_remaining_time=int(self.left / 60))
        return self.tell(gcode_state="FINISH", mc_percent=100, layer_num=40, stg_cur=255,
                         mc_remaining_time=0)
