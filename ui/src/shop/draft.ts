/** A printer as it is typed into a form, and what of it goes to the hub. */
import type { NewPrinter, Printer, PrinterChange, Protocol, SeenPrinter } from "./api";

export type Draft = {
  protocol: Protocol;
  host: string;
  port: string;
  tls: boolean;
  serial_number: string;
  user: string;
  secret: string;
  pin: string;
  model: string;
  title: string;
  location: string;
  tags: string;
  keep_from_queue: boolean;
  clears_itself: boolean;
};

/** Where each is found unless its owner says otherwise. */
export const PORTS: Record<Protocol, number> = {
  bambu: 8883,
  prusalink: 80,
  moonraker: 7125,
  octoprint: 80,
};

/** Who logs in unless its owner says otherwise. Of a PrusaLink, nobody means an API key. */
export const userOf = (protocol: Protocol) => (protocol === "prusalink" ? "maker" : "");

export const blank = (protocol: Protocol = "bambu"): Draft => ({
  protocol,
  host: "",
  port: "",
  tls: false,
  serial_number: "",
  user: userOf(protocol),
  secret: "",
  pin: "",
  model: "",
  title: "",
  location: "",
  tags: "",
  keep_from_queue: false,
  clears_itself: false,
});

/** What was seen of it on the network fills the form; only its secret is left to type. */
export const draftOfSeen = (seen: SeenPrinter): Draft => ({
  ...blank(seen.protocol),
  host: seen.host,
  port: seen.port === PORTS[seen.protocol] ? "" : String(seen.port),
  serial_number: seen.serial_number ?? "",
  model: seen.model ?? "",
  title: seen.name ?? seen.model ?? "",
});

export const draftOf = (printer: Printer): Draft => ({
  ...blank(printer.protocol),
  host: printer.address.host,
  port: printer.address.port === PORTS[printer.protocol] ? "" : String(printer.address.port),
  tls: printer.address.tls,
  serial_number: printer.address.serial_number ?? "",
  user: printer.address.user ?? "",
  model: printer.model,
  title: printer.title,
  location: printer.location,
  tags: printer.tags.join(", "),
  ...printer.settings,
});

/** `a, b,,a` gives `a` and `b`. */
export const tagsOf = (text: string): string[] => [
  ...new Set(text.split(",").map((tag) => tag.trim()).filter(Boolean)),
];

/** Its own port where nothing that is one is typed. */
export function portOf({ port, protocol }: Draft): number {
  const number = Number(port);
  return port.trim() !== "" && Number.isInteger(number) && number > 0 && number < 65_536
    ? number
    : PORTS[protocol];
}

export function newPrinter(draft: Draft): NewPrinter {
  const { protocol } = draft;
  return {
    protocol,
    host: draft.host.trim(),
    port: portOf(draft),
    tls: protocol === "bambu" || draft.tls,
    ...text("title", draft.title),
    ...(protocol === "bambu" ? text("serial_number", draft.serial_number) : {}),
    ...(protocol === "prusalink" ? text("user", draft.user) : {}),
    ...(draft.secret === "" ? {} : { secret: draft.secret }),
    ...text("pin", draft.pin),
    ...text("model", draft.model),
    ...text("location", draft.location),
    tags: tagsOf(draft.tags),
  };
}

/** Only what is different; an empty secret is the one that the hub has. */
export function changeOf(printer: Printer, draft: Draft): PrinterChange {
  const was = draftOf(printer);
  const change: PrinterChange = {};
  for (const key of ["host", "serial_number", "user", "model", "title", "location"] as const) {
    if (draft[key].trim() !== was[key]) change[key] = draft[key].trim();
  }
  if (portOf(draft) !== printer.address.port) change.port = portOf(draft);
  if (draft.tls !== was.tls) change.tls = draft.tls;
  if (draft.secret !== "") change.secret = draft.secret;
  const tags = tagsOf(draft.tags);
  if (tags.join() !== printer.tags.join()) change.tags = tags;
  const { keep_from_queue, clears_itself } = draft;
  if (keep_from_queue !== was.keep_from_queue || clears_itself !== was.clears_itself)
    change.settings = { keep_from_queue, clears_itself };
  return change;
}

const text = <K extends string>(key: K, value: string) =>
  (value.trim() === "" ? {} : { [key]: value.trim() }) as Partial<Record<K, string>>;
