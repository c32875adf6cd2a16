/**
 * How a printer stands, in the one word that a dashboard sorts and counts by; which printers are
 * shown, and in which order.
 */
import type { Ability, Phase, Printer } from "./api";

/** In the order of who has to be looked after first. */
export const STANDS = ["attention", "paused", "done", "printing", "free", "away", "off"] as const;
export type Stand = (typeof STANDS)[number];

const BY_PHASE: Record<Phase, Stand> = {
  attention: "attention",
  error: "attention",
  failed: "attention",
  paused: "paused",
  finished: "done",
  stopped: "done",
  preparing: "printing",
  printing: "printing",
  busy: "printing",
  idle: "free",
  unknown: "free",
};

export function standOf({ health, enabled, state }: Printer): Stand {
  if (!enabled || health.link === "disabled") return "off";
  if (health.link === "offline" || (health.link === "connecting" && !state)) return "away";
  if (!state) return "away";
  if (state.faults?.some(({ severity }) => severity === "fatal" || severity === "serious"))
    return "attention";
  return BY_PHASE[state.phase];
}

/** Whether what is shown of it is what it does now. */
export const isCurrent = ({ health }: Printer) =>
  health.link === "online" || health.link === "elsewhere";

export const isActive = (phase: Phase | undefined) =>
  phase === "preparing" || phase === "printing" || phase === "paused";

export const isFree = (phase: Phase | undefined) =>
  phase === "idle" || phase === "finished" || phase === "stopped" || phase === "failed";

/** Whether it can be asked for that now. */
export const can = (printer: Printer, ability: Ability): boolean =>
  isCurrent(printer) &&
  printer.state?.read_only === undefined &&
  (printer.state?.abilities.includes(ability) ?? false);

/** What its owner called its model; else what it says itself. */
export const modelOf = (printer: Printer) =>
  printer.model || printer.state?.identity.model || "";

/** Whether somebody has to say that the bed is clear before its next job. */
export const bedInTheWay = (printer: Printer) =>
  !printer.bed_clear && !isActive(printer.state?.phase) && printer.enabled;

export type Order = "attention" | "name" | "remaining";
export type Filter = {
  text: string;
  stand: Stand | "all";
  tag: string;
  hub: string;
  order: Order;
};
export const everything: Filter = {
  text: "",
  stand: "all",
  tag: "",
  hub: "",
  order: "attention",
};

export type Row = { key: string; hub: string; printer: Printer };
export type Counts = Record<Stand | "all", number>;

/** The shown ones in their order; how many there are of each stand, whatever stand is chosen. */
export function arrange<R extends Row>(rows: R[], filter: Filter): { shown: R[]; counts: Counts } {
  const words = filter.text.toLowerCase().split(/\s+/).filter(Boolean);
  const counts: Counts = {
    all: 0, attention: 0, paused: 0, done: 0, printing: 0, free: 0, away: 0, off: 0,
  };
  const found: { row: R; rank: number; left: number }[] = [];
  for (const row of rows) {
    const { printer, hub } = row;
    if (filter.hub !== "" && hub !== filter.hub) continue;
    if (filter.tag !== "" && !printer.tags.includes(filter.tag)) continue;
    if (words.length > 0 && !matches(row, words)) continue;
    const stand = standOf(printer);
    counts.all += 1;
    counts[stand] += 1;
    if (filter.stand !== "all" && filter.stand !== stand) continue;
    const left = isActive(printer.state?.phase) ? printer.state?.job?.remaining_s : undefined;
    found.push({ row, rank: RANK[stand], left: left ?? Number.MAX_SAFE_INTEGER });
  }
  const names = (a: R, b: R) =>
    byName.compare(a.printer.title, b.printer.title) || byName.compare(a.key, b.key);
  found.sort((a, b) => {
    if (filter.order === "attention" && a.rank !== b.rank) return a.rank - b.rank;
    if (filter.order === "remaining" && a.left !== b.left) return a.left - b.left;
    return names(a.row, b.row);
  });
  return { shown: found.map(({ row }) => row), counts };
}

function matches({ printer, hub }: Row, words: string[]): boolean {
  const text = [
    printer.title, printer.name, modelOf(printer), printer.location, hub, printer.address.host,
    printer.state?.job?.name ?? "", ...printer.tags,
  ].join(" ").toLowerCase();
  return words.every((word) => text.includes(word));
}

const RANK = Object.fromEntries(STANDS.map((stand, at) => [stand, at])) as Record<Stand, number>;
/** `printer-2` before `printer-10`. One for all: making one costs more than comparing. */
const byName = new Intl.Collator(undefined, { numeric: true });
