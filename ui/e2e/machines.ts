/** Simulated machines for the mock hub: a laser that runs a job, and a printer board. */
import type { Job, Machine, Preview, State } from "../src/machine/api";

type Point = [number, number];

const state: State = {
  port: "open",
  profile: "grbl",
  firmware: { name: "Grbl", version: "1.1h", rx_bytes: 128, planner_blocks: 15 },
  status: null,
  coding: { baud_rate: 115200, data_bits: 8, parity: "none", stop_bits: "one", flow: "none" },
  lines: { cts: true, dsr: true, ring: false, carrier: true },
  beam_may_be_on: false,
  arming: "off",
  interlock_open: null,
  buttons: [],
  stopped: null,
  stops: 0,
  stop_path: { tests: 12, took_us: 400 },
  user: null,
  program_open: false,
  guarded: true,
  counters: { received: 24_400, sent: 9_800, refused_lines: 0, dropped: 0 },
};

/** The owner's own laser: nothing hinders anybody. A job is in its list, checked. */
export function laser(): Machine {
  return structuredClone({
    address: "desk/engraver",
    simulated: true,
    role: "admin",
    settings: {
      profile: "grbl",
      coding: state.coding,
      on_open: "keep",
      arming: true,
      deadman_ms: 500,
      interlock: null,
      stop_text: "",
    },
    state: {
      ...state,
      status: {
        state: "idle",
        sub: null,
        machine: [-280, -330, -5],
        work: [20, 20, 0],
        offset: [-300, -350, -5],
        free: { blocks: 15, bytes: 128 },
        feed: 0,
        spindle: 0,
        pins: null,
        overrides: { feed: 100, rapid: 100, spindle: 100 },
        accessories: null,
      },
      arming: "safe",
    },
    job: job(),
  });
}

/** A board at another hub, where we may only run jobs. */
export function board(): Machine {
  const { settings, state: own, ...rest } = laser();
  return {
    ...rest,
    address: "garage/printer-board",
    role: "control",
    settings: { ...settings, profile: "marlin", arming: false },
    state: {
      ...own,
      profile: "marlin",
      firmware: { name: "Marlin", version: "2.1.2.5", rx_bytes: 128, planner_blocks: 16 },
      arming: "off",
      status: {
        state: "idle",
        sub: null,
        machine: null,
        work: [110.2, 98.55, 12.4],
        offset: null,
        free: { blocks: 13, bytes: 128 },
        feed: null,
        spindle: null,
        pins: null,
        overrides: { feed: 100, rapid: 100, spindle: 100 },
        accessories: null,
      },
      coding: { ...own.coding, baud_rate: 250_000 },
    },
    job: null,
  };
}

export function job(more: Partial<Job> = {}): Job {
  return {
    id: 4,
    name: "door-sign.gcode",
    bytes: 1_843_200,
    sha256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    received_bytes: 1_843_200,
    state: "checked",
    lines: 1200,
    line: 0,
    findings: [],
    estimate_s: 1104,
    extent: { min: [0, 0, 0], max: [160, 96, 0] },
    created: new Date(Date.now() - 540_000).toISOString(),
    started: null,
    ended: null,
    left_s: null,
    problem: null,
    by: "local",
    on_loss: "continue",
    ...more,
  };
}

export const past: Job[] = [
  job({
    id: 3,
    name: "coaster-rings.nc",
    lines: 8120,
    line: 8120,
    state: "done",
    started: new Date(Date.now() - 8_600_000).toISOString(),
    ended: new Date(Date.now() - 7_900_000).toISOString(),
    estimate_s: 690,
    extent: { min: [0, 0, 0], max: [90, 90, 0] },
  }),
  job({
    id: 2,
    name: "too-wide.gcode",
    state: "uploaded",
    findings: [
      { line: 17, severity: "error", text: "X 412.0 is outside the travel of 400 mm" },
      { line: 230, severity: "warning", text: "the laser is on while nothing moves" },
    ],
    extent: { min: [0, 0, 0], max: [412, 60, 0] },
  }),
];

/** A sign: a frame with round corners, a spiral, and a raster. */
export function preview(segments = 1200): Preview {
  const paths: Preview["paths"] = [];
  let line = 4;
  let last: Point = [0, 0];
  const add = (points: Point[]) => {
    paths.push({ line, beam: false, points: [last, points[0] ?? last] });
    line += 1;
    paths.push({ line, beam: true, points });
    line += points.length - 1;
    last = points.at(-1) ?? last;
  };
  add(round(4, 4, 156, 92, 10));
  add(round(9, 9, 151, 87, 7));
  const turns = Array.from({ length: 360 }, (_, i): Point => {
    const [a, r] = [i / 9, 2 + i / 14];
    return [48 + r * Math.cos(a), 48 + r * Math.sin(a)];
  });
  add(turns);
  const rows = Math.max(4, Math.floor((segments - line) / 2));
  for (let i = 0; i < rows; i += 1) {
    const y = 24 + (48 * i) / rows;
    const x = 92 + 8 * Math.sin(y / 5);
    const way: Point[] = [
      [x, y],
      [x + 44, y],
    ];
    add(i % 2 === 0 ? way : way.reverse());
  }
  return { min: [4, 4], max: [156, 92], paths, cut: false };
}

function round(x: number, y: number, toX: number, toY: number, r: number): Point[] {
  const corner = (cx: number, cy: number, from: number): Point[] =>
    Array.from({ length: 9 }, (_, i) => {
      const a = from + (Math.PI / 2) * (i / 8);
      return [cx + r * Math.cos(a), cy + r * Math.sin(a)];
    });
  const points = [
    ...corner(toX - r, y + r, -Math.PI / 2),
    ...corner(toX - r, toY - r, 0),
    ...corner(x + r, toY - r, Math.PI / 2),
    ...corner(x + r, y + r, Math.PI),
  ];
  return [...points, points[0] ?? [0, 0]];
}
