/** All that the page of one machine knows, and how each happening changes it. Pure. */
import type { Profile } from "../api";
import type { Job, Machine } from "./api";
import { heardNothing, listen, type Heard } from "./heard";
import { said, sent, silence, unsent, type Output } from "./output";

export type MachineView = {
  machine: Machine | null;
  link: "connecting" | "live" | "lost";
  /** When the hub last said anything, on this page's clock. */
  news_ms: number | null;
  /** When bytes of the machine itself last came in. */
  spoke_ms: number | null;
  /** The last test of the way that a stop goes: when it began, and how long it took. */
  tested: { at_ms: number; took_ms: number } | null;
  output: Output;
  heard: Heard;
};

export type Action =
  | { type: "machine"; machine: Machine; at_ms: number }
  | { type: "output"; text: string; missed: boolean; at_ms: number }
  | { type: "sent"; text: string }
  | { type: "unsent"; id: number }
  | { type: "tested"; at_ms: number; took_ms: number }
  | { type: "link"; live: boolean };

export const unknown: MachineView = {
  machine: null,
  link: "connecting",
  news_ms: null,
  spoke_ms: null,
  tested: null,
  output: silence,
  heard: heardNothing,
};

export function reduce(view: MachineView, action: Action): MachineView {
  switch (action.type) {
    case "machine":
      return withMachine(view, action.machine, action.at_ms);
    case "output": {
      const output = said(view.output, action.text, action.missed);
      const fresh = output.lines.filter((line) => line.id >= view.output.next);
      return { ...view, output, heard: listen(view.heard, fresh), news_ms: action.at_ms };
    }
    case "sent":
      return { ...view, output: sent(view.output, action.text) };
    case "unsent":
      return { ...view, output: unsent(view.output, action.id) };
    case "tested":
      return { ...view, tested: { at_ms: action.at_ms, took_ms: action.took_ms } };
    case "link":
      if (action.live) return { ...view, link: "live" };
      return { ...view, link: "lost", output: { ...view.output, again: true } };
  }
}

function withMachine(view: MachineView, machine: Machine, at_ms: number): MachineView {
  const before = view.machine?.state;
  const { counters, status } = machine.state;
  const spoke = before?.counters.received !== counters.received;
  const calm = status !== null && status.state !== "alarm";
  return {
    ...view,
    machine,
    news_ms: at_ms,
    spoke_ms: spoke ? at_ms : view.spoke_ms,
    heard: calm && view.heard.alarm !== null ? { ...view.heard, alarm: null } : view.heard,
  };
}

/** Why what is shown may be old, and since when; null while it is current. */
export type Stale = { why: "hub" | "port" | "machine"; s: number; text: string };

export function stale(view: MachineView, now_ms: number): Stale | null {
  const { machine, news_ms, spoke_ms } = view;
  if (!machine || news_ms === null) return null;
  const since = (then_ms: number | null) => Math.floor((now_ms - (then_ms ?? now_ms)) / 1000);
  if (now_ms - news_ms >= STALE_MS) return { why: "hub", s: since(news_ms), text: "" };
  const { port, profile, status } = machine.state;
  if (port !== "open") return { why: "port", s: since(spoke_ms), text: port.closed.why };
  const silent = spoke_ms !== null && now_ms - spoke_ms >= STALE_MS;
  if (silent && status && isGrbl(profile)) return { why: "machine", s: since(spoke_ms), text: "" };
  return null;
}

/** The last proof that a stop gets through. */
export type Proof = { is: "proven"; took_ms: number; age_s: number } | { is: "broken" };

export function proof(view: MachineView, now_ms: number): Proof {
  const { tested } = view;
  const old = tested === null || now_ms - tested.at_ms >= PROOF_MS;
  if (old || stale(view, now_ms)?.why === "hub") return { is: "broken" };
  const age_s = Math.max(0, Math.floor((now_ms - tested.at_ms) / 1000));
  return { is: "proven", took_ms: tested.took_ms, age_s };
}

/** Why lines cannot be sent from here now; null when they can. */
export type Bar = { is: "role" } | { is: "user"; who: string } | { is: "job" | "port" | "link" };

export function barred(view: MachineView, now_ms: number): Bar | null {
  const { machine } = view;
  if (!machine || stale(view, now_ms)?.why === "hub") return { is: "link" };
  if (machine.role === "view") return { is: "role" };
  if (machine.state.port !== "open") return { is: "port" };
  if (machine.state.user !== null) return { is: "user", who: machine.state.user };
  if (machine.job && isUnderWay(machine.job)) return { is: "job" };
  return null;
}

/** A job as the list has it, or as the machine's news have it where they are newer. */
export const newest = (jobs: Job[], now: Job | null): Job[] =>
  now === null
    ? jobs
    : jobs.some((job) => job.id === now.id)
      ? jobs.map((job) => (job.id === now.id ? now : job))
      : [now, ...jobs];

export const isUnderWay = (job: Job) => job.state === "running" || job.state === "held";
export const isGrbl = (profile: Profile) =>
  profile === "grbl" || profile === "grbl_hal" || profile === "fluid_nc";
export const mayControl = (machine: Machine) =>
  machine.role === "control" || machine.role === "admin";

/** A machine is asked five times a second; the hub is asked here after two seconds of silence. */
export const STALE_MS = 3000;
/** A proof every five seconds: one may be late, two are missed. */
const PROOF_MS = 11_000;

/** Whether a job was cut short on a machine that can go on in the middle of one. */
export const hasRest = (job: Job, machine: Machine): boolean =>
  (job.state === "aborted" || job.state === "fault") &&
  job.line > 1 &&
  job.line < job.lines &&
  isGrbl(machine.state.profile);

/** The line to propose: before those that were in the machine's planner. */
export const restFrom = (job: Job): number => Math.max(2, job.line - PLANNER_LINES);

/** grblHAL's planner holds 35 by default, GRBL's 15, and both some lines before it. */
const PLANNER_LINES = 50;
