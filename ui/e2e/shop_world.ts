/** A believable print shop for the mock: printers of every kind, in every state. */
import type {
  Ability,
  Channel,
  Folder,
  Job,
  JobEvent,
  Printer,
  PrinterState,
  Protocol,
  QueueItem,
  SeenPrinter,
  ShopFile,
  Slot,
} from "../src/shop/api";

export type ShopWorld = {
  printers: Printer[];
  jobs: Job[];
  events: Record<string, JobEvent[]>;
  files: ShopFile[];
  queue: QueueItem[];
  folders: Folder[];
  channels: Channel[];
  seen: SeenPrinter[];
};

export const us = (minutes_ago: number) => Math.round((Date.now() - minutes_ago * 60_000) * 1000);

const EVERYTHING: Record<Protocol, Ability[]> = {
  bambu: [
    "start", "pause", "resume", "stop", "light", "speed", "hotend_temperature", "bed_temperature",
    "skip_objects", "gcode", "list_files", "download", "upload", "delete", "clear",
  ],
  prusalink: [
    "start", "pause", "resume", "stop", "list_files", "download", "upload", "delete", "clear",
  ],
  moonraker: [
    "start", "pause", "resume", "stop", "light", "speed", "hotend_temperature", "bed_temperature",
    "chamber_temperature", "skip_objects", "gcode", "list_files", "download", "upload", "delete",
    "clear",
  ],
  octoprint: [
    "start", "pause", "resume", "stop", "speed", "hotend_temperature", "bed_temperature", "gcode",
    "list_files", "download", "upload", "delete",
  ],
};
const PORTS: Record<Protocol, number> = {
  bambu: 8883, prusalink: 80, moonraker: 7125, octoprint: 80,
};

export function idle(
  protocol: Protocol,
  model: string,
  more: Partial<PrinterState> = {},
): PrinterState {
  return {
    phase: "idle",
    temperatures: {
      hotends: [{ now_c: 24.1, target_c: 0 }],
      bed: { now_c: 23.6, target_c: 0 },
    },
    speed_percent: 100,
    ...(protocol === "prusalink" || protocol === "octoprint" ? {} : { light_on: false }),
    abilities: EVERYTHING[protocol],
    identity: { model, firmware: "1.4.2", nozzles_um: [400] },
    storage_ready: true,
    ...more,
  };
}

export function printing(
  protocol: Protocol,
  model: string,
  name: string,
  percent: number,
  more: Partial<PrinterState> = {},
): PrinterState {
  const whole = 8040;
  return idle(protocol, model, {
    phase: "printing",
    job: {
      name,
      path: `/${name}`,
      progress_percent: percent,
      elapsed_s: Math.round((whole * percent) / 100),
      remaining_s: Math.round(whole * (1 - percent / 100)),
      layer: Math.max(1, Math.round((210 * percent) / 100)),
      layers: 210,
    },
    temperatures: {
      hotends: [{ now_c: 219.6, target_c: 220 }],
      bed: { now_c: 60.1, target_c: 60 },
    },
    ...more,
  });
}

let made = 0;

export function printer(
  title: string,
  protocol: Protocol,
  model: string,
  state: PrinterState | null,
  more: Partial<Printer> = {},
): Printer {
  made += 1;
  const name = title.toLowerCase().replace(/[^a-z0-9]+/g, "-");
  return {
    id: `prt-${name}`,
    name,
    title,
    protocol,
    address: {
      host: `192.168.1.${(made % 200) + 20}`,
      port: PORTS[protocol],
      ...(protocol === "bambu" ? { files_port: 990, serial_number: `01P00A4521${1000 + made}` } : {}),
      tls: protocol === "bambu",
      has_secret: true,
    },
    model,
    location: "Rack A",
    tags: [],
    enabled: true,
    bed_clear: true,
    settings: { keep_from_queue: false, clears_itself: false },
    health: { link: "online", since_us: us(190), tries: 0, heard_us: us(0) },
    ...(state ? { state } : {}),
    simulated: false,
    ...more,
  };
}

const slots = (active: number): Slot[] =>
  [
    { name: "A1", material: "PLA", product: "PLA Matte", color: "#1f4e9c", remaining_percent: 72 },
    { name: "A2", material: "PLA", product: "PLA Basic", color: "#f4f1e8", remaining_percent: 35 },
    { name: "A3", material: "PETG", product: "PETG HF", color: "#d94f2b", remaining_percent: 90 },
    { name: "A4" },
  ].map((slot, id) => ({ id, active: id === active, ...slot }));

export function shopWorld(): ShopWorld {
  const a1 = printer("A1 left", "bambu", "A1", printing("bambu", "A1", "lamp-shade.3mf", 62.4, {
    slots: slots(0),
    light_on: true,
    wifi_dbm: -54,
    job: {
      id: "8812", name: "lamp-shade.3mf", path: "/lamp-shade.3mf", progress_percent: 62.4,
      elapsed_s: 5040, remaining_s: 4320, layer: 131, layers: 210, filament_mm: 18_400,
      objects: [
        { id: "1", name: "shade_1", skipped: false },
        { id: "2", name: "shade_2", skipped: false },
        { id: "3", name: "clip", skipped: true },
      ],
    },
    fans: [{ name: "part", percent: 80 }, { name: "auxiliary", percent: 40 }],
  }), { tags: ["pla", "fast"], job_id: "job-1" });
  const printers = [
    a1,
    printer("A1 right", "bambu", "A1", idle("bambu", "A1", {
      phase: "failed",
      slots: slots(-1),
      faults: [{
        severity: "serious", code: "0300_400C",
        text: "The nozzle is clogged with filament.",
      }],
      job: { name: "gear-20.3mf", progress_percent: 41, elapsed_s: 3060, layer: 82, layers: 199 },
    }), { tags: ["pla", "fast"], bed_clear: false }),
    printer("MK4 one", "prusalink", "MK4", {
      ...printing("prusalink", "MK4", "bracket_0.2mm_PETG.bgcode", 8.2),
    }, { tags: ["petg"], location: "Rack B", job_id: "job-2" }),
    printer("MK4 two", "prusalink", "MK4", {
      ...printing("prusalink", "MK4", "spool-holder.gcode", 55),
      phase: "paused",
    }, { tags: ["petg"], location: "Rack B", job_id: "job-3" }),
    printer("Voron 2.4", "moonraker", "Voron 2.4", idle("moonraker", "Voron 2.4", {
      temperatures: {
        hotends: [{ now_c: 27, target_c: 0 }],
        bed: { now_c: 26, target_c: 0 },
        chamber: { now_c: 25.4, target_c: 0 },
      },
    }), { tags: ["abs"], location: "Enclosure" }),
    printer("Ender", "octoprint", "Ender 3 V2", idle("octoprint", "Ender 3 V2", {
      phase: "finished",
      job: { name: "benchy.gcode", progress_percent: 100, elapsed_s: 4260, layer: 240, layers: 240 },
    }), { tags: ["pla"], bed_clear: false, simulated: true }),
    printer("CORE One", "prusalink", "CORE One", null, {
      location: "Rack B",
      health: {
        link: "offline", since_us: us(14), tries: 9, heard_us: us(14), next_try_us: us(-0.5),
        problem: {
          reason: "wrong_secret", message: "PrusaLink answered 401 Unauthorized",
          hint: null,
        },
      },
    }),
    printer("P1S", "bambu", "P1S", printing("bambu", "P1S", "enclosure-door.3mf", 91.5, {
      slots: slots(2),
      read_only: "Developer mode is off: on its panel, Settings → WLAN → Developer mode.",
    }), { job_id: "job-4" }),
    printer("Old Mini", "prusalink", "MINI+", null, {
      enabled: false,
      health: { link: "disabled", since_us: us(9000), tries: 0 },
    }),
  ];
  return {
    printers,
    jobs: jobsOf(printers),
    events: {
      "job-1": [
        { time_us: us(90), what: "started", detail: "" },
        { time_us: us(86), what: "printing", detail: "" },
        { time_us: us(50), what: "paused", detail: "filament ran out" },
        { time_us: us(44), what: "resumed", detail: "" },
      ],
    },
    files: filesOf(printers),
    queue: queueOf(printers),
    folders: [{ id: "fol-1", path: "/home/kim/slices", recursive: true, enabled: true }],
    channels: [{
      id: "cha-1", name: "Workshop phone", kind: "ntfy", events: ["job_finished", "job_failed"],
      enabled: true, shown: "https://ntfy.sh/…", last_us: us(42),
    }],
    seen: [
      {
        protocol: "bambu", host: "192.168.1.88", port: 8883, serial_number: "00M09A350700111",
        model: "X1 Carbon", name: "Workshop X1", known: null,
      },
      {
        protocol: "prusalink", host: "192.168.1.91", port: 80, serial_number: null, model: "XL",
        name: null, known: null,
      },
      {
        protocol: "bambu", host: a1.address.host, port: 8883, serial_number: null, model: "A1",
        name: "A1 left", known: a1.id,
      },
    ],
  };
}

export const noShop = (): ShopWorld => ({
  printers: [], jobs: [], events: {}, files: [], queue: [], folders: [], channels: [], seen: [],
});

export function peerShop(): ShopWorld {
  const state = printing("prusalink", "MINI+", "whistle.gcode", 33);
  const more = { location: "Garage", job_id: "job-g1" };
  const mini = printer("Garage Mini", "prusalink", "MINI+", state, more);
  const files = [file("whistle.gcode", mini.id)];
  return { ...noShop(), printers: [mini], jobs: jobsOf([mini]), files };
}

function jobsOf(printers: Printer[]): Job[] {
  const running: Job[] = printers
    .filter(({ job_id }) => job_id)
    .map(({ id, title, state, job_id }) => ({
      id: job_id ?? "",
      printer_id: id,
      printer: title,
      name: state?.job?.name ?? "",
      state: state?.phase === "paused" ? "paused" : "printing",
      started_us: us(90),
      paused_s: 0,
      progress_permille: Math.round((state?.job?.progress_percent ?? 0) * 10),
      estimate_s: 8040,
      known_by: "",
      made_by: "kim",
      note: "",
    }));
  const names = [
    "benchy.gcode", "gear-20.3mf", "cable-clip.gcode", "vase-spiral.gcode", "hook.3mf",
  ];
  const states = ["finished", "finished", "failed", "finished", "cancelled", "unknown"] as const;
  const past = Array.from({ length: 130 }, (_, i): Job => {
    const of = printers[i % printers.length];
    const state = states[i % states.length] ?? "finished";
    const printed_s = 1800 + ((i * 977) % 14_000);
    return {
      id: `past-${String(i).padStart(4, "0")}`,
      printer_id: of?.id ?? "",
      printer: of?.title ?? "",
      name: names[i % names.length] ?? "",
      state,
      ...(state === "failed" ? { reason: "The nozzle is clogged with filament." } : {}),
      ...(state === "cancelled" ? { reason: "Stopped at the panel" } : {}),
      started_us: us(400 + i * 310),
      ended_us: us(400 + i * 310 - printed_s / 60),
      printed_s,
      paused_s: i % 7 === 0 ? 240 : 0,
      progress_permille: state === "finished" ? 1000 : 430,
      layer: 100,
      layers: 210,
      filament_um: 3_400_000 + i * 40_000,
      filament_mg: 10_100 + i * 120,
      known_by: state === "unknown" ? "assumed" : i % 5 === 0 ? "history" : "seen",
      made_by: i % 3 === 0 ? "kim" : "",
      note: i === 2 ? "wet filament, dry it first" : "",
    };
  });
  return [...running, ...past];
}

export function file(name: string, place: string, more: Partial<ShopFile> = {}): ShopFile {
  made += 1;
  const local = place === "library" || place.startsWith("folder:");
  return {
    id: `fil-${made}`,
    place,
    path: local ? name : `/${name}`,
    name,
    bytes: 4_200_000 + made * 31_337,
    changed_us: us(made * 137),
    ...(local ? { hash: made.toString(16).padStart(64, "5e") } : {}),
    state: local ? "local" : "available",
    note: "",
    tags: [],
    created_us: us(made * 137),
    ...more,
  };
}

function filesOf(printers: Printer[]): ShopFile[] {
  const [a1, , mk4, , voron, ender] = printers.map(({ id }) => id);
  const meta = {
    slicer: "OrcaSlicer 2.3.0", estimate_s: 8040, layers: 210, layer_height_um: 200,
    materials: ["PLA"], filament_um: [12_400_000], filament_mg: [36_900], printer_model: "A1",
    nozzle_um: 400, plates: [1],
  };
  return [
    file("lamp-shade.3mf", a1 ?? "", { state: "downloaded", hash: "ab".repeat(32), meta }),
    file("gear-20.3mf", a1 ?? ""),
    file("hook.3mf", a1 ?? ""),
    file("bracket_0.2mm_PETG.bgcode", mk4 ?? ""),
    file("spool-holder.gcode", mk4 ?? ""),
    file("toolhead.gcode", voron ?? ""),
    file("benchy.gcode", ender ?? ""),
    file("lamp-shade.3mf", "library", { hash: "ab".repeat(32), meta, tags: ["lamps", "shop"] }),
    file("cable-clip.gcode", "library", {
      tags: ["clips"],
      meta: {
        ...meta, slicer: "PrusaSlicer 2.9.2", estimate_s: 2400, materials: ["PETG"],
        printer_model: "MK4",
      },
    }),
    file("vase-spiral.gcode", "library", { note: "only with the 0.6 nozzle" }),
    file("calibration-cube.gcode", "folder:fol-1"),
  ];
}

function queueOf(printers: Printer[]): QueueItem[] {
  const [a1] = printers;
  const item = (id: string, file_name: string, more: Partial<QueueItem>): QueueItem => ({
    id,
    hash: "ab".repeat(32),
    file_name,
    title: file_name,
    targets: { printers: [], tags: [] },
    needs: {},
    options: { path: "" },
    copies: 1,
    done: 0,
    priority: 0,
    held: false,
    state: "waiting",
    note: "",
    made_by: "kim",
    created_us: us(60),
    runs: [],
    ...more,
  });
  return [
    item("que-1", "lamp-shade.3mf", {
      copies: 6,
      done: 2,
      priority: 1,
      targets: { printers: [], tags: ["fast"] },
      needs: { material: "PLA" },
      due_us: us(-60 * 20),
      runs: [
        {
          printer_id: a1?.id ?? "", state: "printing", job_id: "job-1", problem: null,
          updated_us: us(90),
        },
      ],
      waits: { "prt-a1-right": "its bed has not been cleared" },
    }),
    item("que-2", "cable-clip.gcode", {
      copies: 20,
      needs: { material: "PETG", nozzle_um: 400 },
      waits: { "prt-mk4-one": "it is printing", "prt-mk4-two": "it is paused" },
    }),
    item("que-3", "vase-spiral.gcode", { held: true, note: "ask Kim for the 0.6 nozzle first" }),
  ];
}
