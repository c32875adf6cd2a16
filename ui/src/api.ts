/**
 * The hub's HTTP API as this page uses it: its types, and one function per call.
 * Failures come back as `Trouble`: what happened, and what to do next.
 */

export type State = {
  hub: Hub;
  peers: Peer[];
  devices: Device[];
  attachments: Attachment[];
  /** What peers ask of this hub, and what it asked of them. */
  requests: Request[];
  asked: Asked[];
  nearby: Nearby[];
  pairings: Pairing[];
};

export type Hub = {
  id: string;
  name: string;
  version: string;
  demo: boolean;
  web: string | null;
  discovery: "lan" | "off";
};

export type Doubt = "name_of_peer" | "name_of_this_hub" | "name_twice";

/** A hub as it is announced on this network. Anybody can announce anything. */
export type Nearby = {
  id: string;
  name: string;
  version: string;
  addresses: string[];
  /** What it is called here, where its key is a peer's. */
  peer: string | null;
  doubt: Doubt | null;
};

/** A pairing by code: what is `shown` here is typed on the other hub. */
export type Pairing = {
  id: number;
  side: "asking" | "asked";
  state: "code" | "check" | "paired" | "failed";
  hub_id: string;
  name: string;
  remote: string;
  doubt: Doubt | null;
  shown: string | null;
  left_s: number;
  peer: string | null;
  problem: { message: string; hint: string | null } | null;
};

export type Role = "view" | "use" | "control" | "admin";
export type Grant = {
  selector: string;
  role: Role;
  windows?: string[];
  zone?: string;
  limit_s?: number;
  until?: string;
  pin?: boolean;
  totp?: boolean;
  asked?: boolean;
  closed?: boolean;
};
export type NewGrant = Omit<Grant, "pin" | "asked" | "closed"> & { pin?: string };
export type Totp = { uri: string; secret: string; qr_svg: string };
export type Granted = { peer: Peer; totp?: Totp };
export type Factor = "pin" | "code" | "pin_and_code";
export type Reply = { accepted: { seconds: number } } | "denied" | "expired";

export type Request = {
  number: number;
  peer: string;
  address: string;
  message: string;
  since: string;
  in_use: string | null;
};
export type Asked = {
  address: string;
  message: string;
  since: string;
  reply: Reply | null;
  error: { message: string; hint: string | null } | null;
};

export type AuditEntry = {
  seq: number;
  time: string;
  actor: string;
  name: string | null;
  action: string;
  detail: string;
  hash: string;
};
export type AuditPage = { entries: AuditEntry[]; more: boolean };
export type AuditCheck = {
  entries: number;
  hash: string;
  broken: { seq: number; how: "missing" | "changed" } | null;
};
export type PathKind = "lan" | "direct" | "relay";
export type Path = {
  kind: PathKind;
  remote: string;
  rtt_ms: number;
  local: string | null;
  since: string | null;
  /** From 0 to 1, at most; null where too little was sent. */
  loss: number | null;
  in_bytes_per_s: number;
  out_bytes_per_s: number;
};

export type Peer = {
  id: string;
  name: string;
  online: boolean;
  trusted: boolean;
  path: Path | null;
  grants: Grant[];
  /** Grants in the hub's database that cannot be read, and grant nothing. */
  unreadable?: number;
  /** A guest's end. */
  expires?: string;
  error: string | null;
  /** Why it is relayed or out of reach; not there when it is neither. */
  why?: Why[];
  /** Where people said that it is: HOST:PORT. */
  named: string[];
};

export type Speed = "low" | "full" | "high" | "super" | "super_plus";
export type Transfer = "control" | "isochronous" | "bulk" | "interrupt";

export type Endpoint = {
  address: number;
  transfer: Transfer;
  packet_bytes_max: number;
  interval: number;
};

export type Interface = {
  configuration: number;
  number: number;
  alternate: number;
  class: number;
  subclass: number;
  protocol: number;
  endpoints: Endpoint[];
};

export type Usb = {
  vendor_id: number;
  product_id: number;
  release: number;
  class: number;
  subclass: number;
  protocol: number;
  speed: Speed;
  manufacturer: string;
  product: string;
  serial_number: string;
  port: string;
  interfaces: Interface[];
};

export type Device = {
  address: string;
  hub: string;
  local: boolean;
  id: string;
  name: string;
  shared: boolean;
  simulated: boolean;
  state: "free" | "absent" | { in_use: string };
  problem: string | null;
  kind: { usb: Usb } | { serial: Serial } | { printer: { protocol: string; model: string } };
};

export type Profile = "raw" | "grbl" | "grbl_hal" | "fluid_nc" | "smoothie" | "marlin";

/** A serial port, and what kind of machine listens at it. */
export type Serial = { profile: Profile; product: string; serial_number: string; port: string };

/** How programs of this computer find the port: one of the three. */
export type Door = { pty?: string; tcp?: string; rfc2217?: string };
export type Via = "vhci" | "usbip" | { port: Door };

export type Attachment = {
  address: string;
  via: Via;
  state: "waiting" | "connecting" | "attached" | "frozen";
  since: string;
  place: string | null;
  nodes: string[];
  error: { message: string; hint: string | null } | null;
  /** What its hub wants to be shown first. */
  factor?: Factor;
  /** Of a machine: the proven round trip of a stop; null where the last proof failed. */
  stop_path_ms?: number | null;
};

export type Rate = {
  address: string;
  side: "serve" | "attach";
  in_bytes_per_s: number;
  out_bytes_per_s: number;
  urbs_per_s: number;
  errors: number;
};
export type Rates = { devices: Rate[] };

export type Invite = { ticket: string; expires: string; qr_svg: string };

export type OpenPath = {
  kind: PathKind;
  remote: string;
  local: string | null;
  rtt_ms: number;
  selected: boolean;
};

export type CandidateState = "pending" | "running" | "success" | "failed" | "cancelled";
export type Candidate = {
  kind: PathKind;
  address: string;
  state: CandidateState;
  tries: number;
  elapsed_ms: number;
  local: string | null;
  remote: string | null;
  error: string | null;
};

export type RaceReason =
  | "alone"
  | "worked_last"
  | "preferred"
  | "others_failed"
  | "fastest"
  | "peer_came"
  | "network_changed"
  | "new_address"
  | "no_answer";
export type Race = {
  at: string;
  elapsed_ms: number;
  over: boolean;
  reason: RaceReason | null;
  candidates: Candidate[];
};

export type PathEvent = {
  at: string;
  what: "opened" | "selected" | "closed";
  kind: PathKind;
  remote: string;
};

export type WhyCode =
  | "no_network"
  | "no_address"
  | "not_a_peer"
  | "no_answer"
  | "only_relay"
  | "no_direct_address"
  | "direct_lost"
  | "direct_silent"
  | "no_public_address"
  | "udp_unanswered";
export type Why = {
  code: WhyCode;
  message: string;
  hint: string;
  at: string | null;
  count: number | null;
};

export type Paths = {
  online: boolean;
  connected_since: string | null;
  /** Why the last try failed. */
  error: string | null;
  path: Path | null;
  open: OpenPath[];
  race: Race | null;
  events: PathEvent[];
  why: Why[];
};

/** `off`: nobody is asked; `needed`: nothing else is answered before. */
export type LoginState = "off" | "needed" | "done";
export type WebSession = {
  id: string;
  account: string;
  address: string;
  agent: string;
  since: string;
  seen: string;
  expires: string;
};
export type Login = { login: LoginState; session: WebSession | null };

/** What went wrong, for a person. `code` is `silent` when the hub itself did not answer. */
export class Trouble extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly hint: string | null,
    /** Seconds before it is worth trying again, where the hub says so. */
    readonly wait_s: number | null = null,
  ) {
    super(message);
  }
}

export const BASE = "/api/v1";
/** No page of another origin can send it: a hub that asks for a login wants to see it. */
export const OWN = { "farhub-request": "1" };
export const one = encodeURIComponent;

/** `garage/disk` keeps its slash: the two halves are two path segments. */
const segments = (address: string) => address.split("/").map(one).join("/");

export const shareDevice = (device: string, name?: string) =>
  call<Device>("POST", `/devices/${one(device)}/share`, name === undefined ? {} : { name });

export const unshareDevice = (device: string) =>
  call<Device>("POST", `/devices/${one(device)}/unshare`, {});

export const attachDevice = (body: { address: string; via?: Via; once?: boolean }) =>
  call<Attachment>("POST", "/attachments", body);

export const detachDevice = (address: string) =>
  call<void>("DELETE", `/attachments/${segments(address)}`);

export const createInvite = (body: {
  expires_s?: number;
  grants?: Grant[];
  guest_s?: number | null;
}) =>
  call<Invite>("POST", "/invites", body);

export const pairWith = (ticket: string, name?: string) =>
  call<Peer>("POST", "/pair", name === undefined ? { ticket } : { ticket, name });

export const askToPair = (whom: { hub: string } | { at: string }) =>
  call<Pairing>("POST", "/pairings", whom);

export const acceptPairing = (id: number, code: string) =>
  call<Pairing>("POST", `/pairings/${id}/accept`, { code });

export const endPairing = (id: number) => call<void>("DELETE", `/pairings/${id}`);

export const removePeer = (peer: string) => call<void>("DELETE", `/peers/${one(peer)}`);

export const trustPeer = (peer: string, trusted: boolean) =>
  call<unknown>("PUT", `/peers/${one(peer)}/trust`, { trusted });

export const addGrant = (peer: string, grant: NewGrant) =>
  call<Granted>("POST", `/peers/${one(peer)}/grants`, grant);

export const revokeGrant = (peer: string, selector: string) =>
  call<unknown>("DELETE", `/peers/${one(peer)}/grants?selector=${one(selector)}`);

export const unlock = (body: { address: string; pin?: string; code?: string }) =>
  call<void>("POST", "/unlock", body);

export const askFor = (address: string, message: string) =>
  call<void>("POST", "/asked", { address, message });

export const withdraw = (address: string) => call<void>("DELETE", `/asked/${segments(address)}`);

export const acceptRequest = (number: number, for_s: number, turn: "when_free" | "at_once") =>
  call<void>("POST", `/requests/${number}/accept`, { for_s, turn });

export const denyRequest = (number: number) => call<void>("POST", `/requests/${number}/deny`, {});

export const handOver = (device: string) =>
  call<Device>("POST", `/devices/${one(device)}/handover`, {});

export const auditLog = (query: Record<string, string>) =>
  call<AuditPage>("GET", `/audit?${new URLSearchParams(query)}`);

export const checkAudit = () => call<AuditCheck>("GET", "/audit/check");

export const peerPaths = (peer: string) => call<Paths>("GET", `/peers/${one(peer)}/path`);

export const session = () => call<Login>("GET", "/session");

export const logIn = (password: string) => call<Login>("POST", "/login", { password });

export const logOut = () => call<void>("POST", "/logout");

/** `body` goes as JSON, a `Blob` as it is. */
export async function call<T>(
  method: string,
  path: string,
  body?: unknown,
  more: RequestInit = {},
): Promise<T> {
  const raw = body instanceof Blob;
  const type = raw ? "application/octet-stream" : "application/json";
  let answer: Response;
  let text: string;
  try {
    answer = await fetch(BASE + path, {
      method,
      headers: body === undefined ? OWN : { ...OWN, "content-type": type },
      ...(body === undefined ? {} : { body: raw ? body : JSON.stringify(body) }),
      ...more,
    });
    text = await answer.text();
  } catch (cause) {
    throw new Trouble("silent", String((cause as Error).message), null);
  }
  if (!answer.ok) throw troubleFrom(answer.status, text, answer.headers.get("retry-after"));
  try {
    return (text === "" ? undefined : JSON.parse(text)) as T;
  } catch {
    throw troubleFrom(answer.status, text);
  }
}

/** A proxy or an older hub may answer with something other than our error document. */
export function troubleFrom(status: number, text: string, wait: string | null = null): Trouble {
  try {
    const { error } = JSON.parse(text) as { error: Record<string, unknown> };
    if (typeof error.message === "string") {
      const hint = typeof error.hint === "string" ? error.hint : null;
      const wait_s = wait !== null && /^\d+$/.test(wait) ? Number(wait) : null;
      return new Trouble(String(error.code), error.message, hint, wait_s);
    }
  } catch {
    // Not JSON, or not our shape.
  }
  return new Trouble(`http_${status}`, text.trim().slice(0, 200) || `HTTP ${status}`, null);
}
