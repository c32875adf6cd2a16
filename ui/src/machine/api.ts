/** The hub's API of a machine: its types, and one function per call. */
import { call, one, type Profile, type Role } from "../api";
import type { Problem } from "../store";
import type { Where } from "./route";

export type Machine = {
  address: string;
  simulated: boolean;
  role: Role;
  settings: Settings;
  state: State;
  job: Job | null;
};

export type State = {
  port: "open" | { closed: { why: string } };
  profile: Profile;
  firmware: Firmware | null;
  status: Status | null;
  coding: Coding;
  lines: { cts: boolean; dsr: boolean; ring: boolean; carrier: boolean };
  beam_may_be_on: boolean;
  arming: Arming;
  interlock_open: boolean | null;
  buttons: StopButton[];
  stopped: { reason: Reason; report: Report | null } | null;
  stops: number;
  stop_path: { tests: number; took_us: number } | null;
  user: string | null;
  program_open: boolean;
  guarded: boolean | null;
  counters: { received: number; sent: number; refused_lines: number; dropped: number };
};

export type Arming = "off" | "safe" | { armed: { left_s: number; by: string } };
export type Reason =
  | "client_lost"
  | "interlock"
  | "guard_lost"
  | "job_failed"
  | { asked: { by: string } }
  | { button: { button: string } }
  | { button_lost: { button: string } };

/** A button or a switch at the machine's hub, which stops it without a network. */
export type StopButton = { name: string; contact: "ready" | "open" | { lost: { why: string } } };

export type Firmware = {
  name: string;
  version: string;
  rx_bytes: number;
  planner_blocks: number;
};

export type Doing =
  | "unknown"
  | "idle"
  | "run"
  | "hold"
  | "jog"
  | "home"
  | "alarm"
  | "check"
  | "door"
  | "sleep"
  | "tool";

export type Status = {
  state: Doing;
  sub: number | null;
  machine: number[] | null;
  work: number[] | null;
  offset: number[] | null;
  free: { blocks: number; bytes: number } | null;
  feed: number | null;
  spindle: number | null;
  pins: string | null;
  overrides: Overrides | null;
  accessories: { spindle: boolean; flood: boolean; mist: boolean } | null;
};
export type Overrides = { feed: number; rapid: number; spindle: number };

export type Coding = {
  baud_rate: number;
  data_bits: number;
  parity: "none" | "odd" | "even" | "mark" | "space";
  stop_bits: "one" | "one_and_half" | "two";
  flow: "none" | "software" | "hardware";
};

export type OnOpen = "keep" | "assert" | "deassert" | "pulse";
export type Interlock = "cts" | "dsr";
export type Settings = {
  profile?: Profile | null;
  coding: Coding;
  on_open: OnOpen;
  arming: boolean;
  deadman_ms: number;
  interlock?: Interlock | null;
  stop_text?: string | null;
};

export type Rung = { name: string; at_ms: number; confirmed: boolean };
export type Report = { confirmed: boolean; rungs: Rung[]; left_after_us: number | null };
/** What came of a stop: a report, or why there is none. */
export type Stopped = {
  address: string;
  report: Report | null;
  left_ms: number | null;
  error: Problem | null;
};

export type Act =
  | { act: "jog"; x?: number; y?: number; z?: number; feed: number }
  | { act: "jog_cancel" | "home" | "unlock" | "hold" | "resume" }
  | { act: "zero"; axes: string }
  | { act: "feed" | "rapid" | "spindle"; percent: number };

export type JobState =
  | "uploading"
  | "uploaded"
  | "checked"
  | "armed"
  | "running"
  | "held"
  | "done"
  | "aborted"
  | "fault";
export type Finding = { line: number; severity: "error" | "warning" | "note"; text: string };
export type OnLoss = "continue" | "hold";
export type Job = {
  id: number;
  name: string;
  bytes: number;
  sha256: string;
  received_bytes: number;
  state: JobState;
  lines: number;
  line: number;
  findings: Finding[];
  estimate_s: number | null;
  extent: { min: number[]; max: number[] } | null;
  created: string;
  started: string | null;
  ended: string | null;
  left_s: number | null;
  problem: string | null;
  by: string;
  on_loss: OnLoss;
};
export type NewJob = { name: string; bytes: number; sha256: string; on_loss: OnLoss };
export type JobAct = "arm" | "start" | "hold" | "resume" | "abort";

type Point = [number, number];
export type Preview = {
  min: Point;
  max: Point;
  paths: { line: number; beam: boolean; points: Point[] }[];
  /** Whether it was too long to be drawn whole. */
  cut: boolean;
};

/** A machine of this hub, or one of a peer through this hub. */
export class MachineApi {
  readonly #device: string;

  constructor(
    readonly where: Where,
    own: boolean,
  ) {
    const device = `/devices/${one(where.name)}`;
    this.#device = own ? device : `/hubs/${one(where.hub)}/api/v1${device}`;
  }

  get events(): string {
    return `/api/v1${this.#device}/machine/events`;
  }

  get = (more?: RequestInit) => call<Machine>("GET", `${this.#device}/machine`, undefined, more);
  clear = () => call<void>("POST", `${this.#device}/machine/clear`, {});
  arm = (seconds: number, code: string | null) =>
    call<void>("POST", `${this.#device}/machine/arm`, { seconds, code });
  disarm = () => call<void>("POST", `${this.#device}/machine/disarm`, {});
  send = (text: string) => call<void>("POST", `${this.#device}/machine/send`, { text });
  act = (act: Act) => call<void>("POST", `${this.#device}/machine/act`, act);
  set = (settings: Settings) => call<Settings>("PUT", `${this.#device}/machine/settings`, settings);

  jobs = () => call<Job[]>("GET", `${this.#device}/jobs`);
  create = (job: NewJob) => call<Job>("POST", `${this.#device}/jobs`, job);
  put = (id: number, offset: number, bytes: Blob, more?: RequestInit) =>
    call<Job>("PUT", `${this.#device}/jobs/${id}/content?offset=${offset}`, bytes, more);
  armJob = (id: number, code: string | null) =>
    call<Job>("POST", `${this.#device}/jobs/${id}/arm`, { code });
  job = (id: number, act: Exclude<JobAct, "arm">) =>
    call<Job>("POST", `${this.#device}/jobs/${id}/${act}`, {});
  rest = (id: number, fromLine: number) =>
    call<Job>("POST", `${this.#device}/jobs/${id}/rest`, { from_line: fromLine });
  remove = (id: number) => call<void>("DELETE", `${this.#device}/jobs/${id}`);
  preview = (id: number) => call<Preview>("GET", `${this.#device}/jobs/${id}/preview`);
}

/** Straight to the hub that this page is of; it goes on also when the page is left. */
export const stopMachine = ({ hub, name }: Where) =>
  call<Stopped>("POST", `/machines/${one(hub)}/${one(name)}/stop`, {}, { keepalive: true });

/** Goes the same way as a stop, and does nothing. */
export const testStop = ({ hub, name }: Where, more: RequestInit) =>
  call<void>("POST", `/machines/${one(hub)}/${one(name)}/test`, {}, more);

export const stopAll = () => call<Stopped[]>("POST", "/machines/stop", {}, { keepalive: true });
