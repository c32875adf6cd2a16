/**
 * All that the page knows, and how each happening changes it. Pure: no clock, no network, no DOM;
 * `live.svelte.ts` drives it.
 */
import type { Asked, Attachment, Device, Peer, Rates, State } from "./api";

export type Problem = { message: string; hint: string | null };
/** What a person started and the hub has not answered yet. */
export type Task = "attach" | "detach" | "share" | "unshare" | "ask" | "release";
export type Sample = { in_bytes_per_s: number; out_bytes_per_s: number };
export type Trace = { samples: Sample[]; urbs_per_s: number; errors: number };
export type Toast = { id: number; tone: "good" | "bad"; title: string; problem: Problem | null };

export type View = {
  state: State | null;
  link: "connecting" | "live" | "lost";
  /** By address. A device served here and one attached here never share an address. */
  traces: Record<string, Trace>;
  tasks: Record<string, Task>;
  problems: Record<string, Problem>;
  toasts: Toast[];
};

export type Action =
  | { type: "state"; state: State }
  | { type: "rates"; rates: Rates }
  | { type: "quiet" }
  | { type: "link"; live: boolean }
  | { type: "begin"; address: string; task: Task }
  | { type: "done"; address: string }
  | { type: "failed"; address: string; problem: Problem }
  | { type: "forgive"; address: string }
  | { type: "toast"; toast: Toast }
  | { type: "untoast"; id: number };

export const nothing: View = {
  state: null,
  link: "connecting",
  traces: {},
  tasks: {},
  problems: {},
  toasts: [],
};

export function reduce(view: View, action: Action): View {
  switch (action.type) {
    case "state":
      return withState(view, action.state);
    case "rates":
      return { ...view, traces: withRates(view.traces, action.rates) };
    case "quiet":
      return { ...view, traces: {} };
    case "link":
      return {
        ...view,
        link: action.live ? "live" : "lost",
        traces: action.live ? view.traces : {},
      };
    case "begin":
      return {
        ...view,
        tasks: { ...view.tasks, [action.address]: action.task },
        problems: without(view.problems, action.address),
      };
    case "done":
      return { ...view, tasks: without(view.tasks, action.address) };
    case "failed":
      return {
        ...view,
        tasks: without(view.tasks, action.address),
        problems: { ...view.problems, [action.address]: action.problem },
      };
    case "forgive":
      return { ...view, problems: without(view.problems, action.address) };
    case "toast":
      return { ...view, toasts: [...view.toasts, action.toast].slice(-TOASTS_MAX) };
    case "untoast":
      return { ...view, toasts: view.toasts.filter((toast) => toast.id !== action.id) };
  }
}

/** One hub as the page shows it. `peer` is null for devices of a hub that is no peer (any more). */
export type Group = { hub: string; peer: Peer | null; devices: Device[]; lost: Attachment[] };

export const here = (state: State): Device[] => state.devices.filter((d) => d.local).sort(byName);

/** Other hubs, those online first; `lost` are attachments whose device is not in sight. */
export function elsewhere(state: State): Group[] {
  const groups = new Map<string, Group>();
  const group = (hub: string, peer: Peer | null) => {
    const known = groups.get(hub);
    if (known) return known;
    const fresh: Group = { hub, peer, devices: [], lost: [] };
    groups.set(hub, fresh);
    return fresh;
  };
  for (const peer of state.peers) group(peer.name, peer);
  for (const device of state.devices)
    if (!device.local) group(device.hub, null).devices.push(device);
  const seen = new Set(state.devices.map((device) => device.address));
  for (const attachment of state.attachments) {
    if (!seen.has(attachment.address)) group(hubOf(attachment.address), null).lost.push(attachment);
  }
  for (const { devices } of groups.values()) devices.sort(byName);
  return [...groups.values()].sort(
    (a, b) => Number(b.peer?.online ?? false) - Number(a.peer?.online ?? false) || byHub(a, b),
  );
}

export type Standing =
  | { is: "free" | "absent" | "private" | "fetch" | Attachment["state"] }
  | { is: "in_use"; by: string };

/** The one word on a device's chip. What we do with it comes before what its hub says of it. */
export function standing(device: Device, attachment: Attachment | undefined): Standing {
  if (attachment) return { is: isToFetch(attachment) ? "fetch" : attachment.state };
  if (device.state === "absent") return { is: "absent" };
  if (typeof device.state === "object") return { is: "in_use", by: device.state.in_use };
  return { is: device.local && !device.shared ? "private" : "free" };
}

/** Made ready for a USB/IP client, which has not come for it yet. */
export const isToFetch = ({ via, state, place }: Attachment): boolean =>
  via === "usbip" && state === "connecting" && place !== null;

export const attachmentOf = (state: State, address: string): Attachment | undefined =>
  state.attachments.find((attachment) => attachment.address === address);

export const askedOf = (state: State, address: string): Asked | undefined =>
  state.asked.find((asked) => asked.address === address);

export const hubOf = (address: string) => address.slice(0, Math.max(0, address.indexOf("/")));
export const nameOf = (address: string) => address.slice(address.indexOf("/") + 1);

function withState(view: View, state: State): View {
  const running = new Set([
    ...state.devices.filter((device) => typeof device.state === "object").map((d) => d.address),
    ...state.attachments.map((attachment) => attachment.address),
  ]);
  const traces = Object.fromEntries(
    Object.entries(view.traces).filter(([address]) => running.has(address)),
  );
  return { ...view, state, traces };
}

function withRates(traces: Record<string, Trace>, rates: Rates): Record<string, Trace> {
  const next: Record<string, Trace> = {};
  for (const rate of rates.devices) {
    const { in_bytes_per_s, out_bytes_per_s, urbs_per_s, errors } = rate;
    const samples = [...(traces[rate.address]?.samples ?? []), { in_bytes_per_s, out_bytes_per_s }];
    next[rate.address] = { samples: samples.slice(-SAMPLES_MAX), urbs_per_s, errors };
  }
  return next;
}

function without<T>(map: Record<string, T>, key: string): Record<string, T> {
  const { [key]: _, ...rest } = map;
  return rest;
}

const byName = (a: Device, b: Device) => a.name.localeCompare(b.name) || a.id.localeCompare(b.id);
const byHub = (a: Group, b: Group) => a.hub.localeCompare(b.hub);

/** A minute at one sample per second. */
export const SAMPLES_MAX = 60;
/** More would cover the page; the oldest goes. */
const TOASTS_MAX = 4;
