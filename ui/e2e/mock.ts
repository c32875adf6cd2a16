/**
 * A hub for the page's tests: the API of the real one, over a state in memory, plus ways to make
 * things happen. Serves dist/ under the real hub's content security policy.
 */
import { existsSync, readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { extname, join, normalize } from "node:path";
import type {
  Attachment,
  Candidate,
  Device,
  NewGrant,
  Paths,
  Peer,
  Rates,
  State,
} from "../src/api";
import { Machines } from "./mock_machines";
import { Shop } from "./mock_shop";
import { noShop, peerShop, shopWorld } from "./shop_world";
import { hubId, pairing, way, world } from "./world";

type Failure = {
  status: number;
  code: string;
  message: string;
  hint: string | null;
  headers?: Record<string, string>;
};
type Answer = { status: number; body?: unknown; headers?: Record<string, string> };

const DIST = new URL("../dist", import.meta.url).pathname;
const CSP = "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'";
const MIME: Record<string, string> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml",
};
const NEEDED: Failure = { status: 401, code: "login_needed", message: "log in first", hint: null };
const NOT_FOUND: Failure = {
  status: 404,
  code: "not_found",
  message: "There is no such thing here.",
  hint: null,
};

export class Mock {
  state: State;
  url = "";
  machines = new Machines();
  /** Its own print shop, and those of peers by their names. */
  shop: Shop;
  peerShops: Record<string, Shop>;
  /** Attaching stops at `connecting` until the test says `land()`. */
  hold = false;
  /** The answers that were given to requests. */
  answered: { number: number; word: string; body: Record<string, unknown> }[] = [];
  /** What the next changing request is answered with, instead of being done. */
  fail: Failure | null = null;

  /** Asks for a login where it is set. */
  password: string | null = null;
  /** Who is not logged in sees all the same, and does nothing. */
  strangersLook = false;
  /** Seconds that the next try has to wait. */
  wait_s = 0;

  /** Cookies of those who are logged in. */
  #sessions = new Set<string>();
  #logins = 0;
  #streams = new Set<ServerResponse>();
  #sockets = new Set<Socket>();
  #port = 0;
  #server = createServer((request, response) => void this.#serve(request, response));

  constructor(state: State = world()) {
    this.state = state;
    const empty = state.devices.length === 0;
    this.shop = new Shop(empty ? noShop() : shopWorld());
    this.peerShops = empty ? {} : { garage: new Shop(peerShop()) };
    this.#server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    });
  }

  /** On a free port the first time, on the same one after `down()`. */
  async up(port = this.#port): Promise<void> {
    await new Promise<void>((ready) => this.#server.listen(port, "127.0.0.1", ready));
    this.#port = (this.#server.address() as AddressInfo).port;
    this.machines.up();
    this.url = `http://127.0.0.1:${this.#port}`;
  }

  async down(): Promise<void> {
    this.machines.down();
    for (const shop of [this.shop, ...Object.values(this.peerShops)]) shop.down();
    const closed = new Promise((done) => this.#server.close(done));
    for (const socket of this.#sockets) socket.destroy();
    this.#streams.clear();
    await closed;
  }

  change(edit: (state: State) => void): void {
    edit(this.state);
    this.#send("state", this.state);
  }

  rates(rates: Rates): void {
    this.#send("rates", rates);
  }

  device = (key: string): Device | undefined =>
    this.state.devices.find(
      (d) => d.address === key || (d.local && (d.name === key || d.id === key)),
    );

  /** The held attachment arrives. */
  land(address: string, place = "vhci port 1", nodes = ["/dev/ttyUSB0"]): void {
    this.change((state) => {
      const found = state.attachments.find((each) => each.address === address);
      if (found) Object.assign(found, { state: "attached", place, nodes });
      const device = this.device(address);
      if (device) device.state = { in_use: state.hub.name };
    });
  }

  #send(event: string, data: unknown): void {
    for (const stream of this.#streams)
      stream.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? "/", this.url);
    if (!pathname.startsWith("/api/v1/")) return serveFile(pathname, response);
    const cookie = /__Host-farhub=(\w+)/.exec(request.headers.cookie ?? "")?.[1] ?? "";
    const ways = ["/api/v1/session", "/api/v1/login", "/api/v1/logout"];
    const stranger = this.password !== null && !this.#sessions.has(cookie);
    const looks = this.strangersLook && request.method === "GET";
    if (stranger && !looks && !ways.includes(pathname)) {
      response.writeHead(401, { "content-type": "application/json" });
      return void response.end(JSON.stringify({ error: NEEDED }));
    }
    if (pathname === "/api/v1/events") return this.#stream(response);
    if (await this.machines.serve(request, response, pathname, searchParams)) return;
    const path = pathname.slice("/api/v1/".length).split("/").map(decodeURIComponent);
    const [hubs, peer = "", api, v1, ...rest] = path;
    const there = hubs === "hubs" && api === "api" && v1 === "v1" ? this.peerShops[peer] : undefined;
    if (there && (await there.serve(request, response, rest, searchParams))) return;
    if (await this.shop.serve(request, response, path, searchParams)) return;
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString();
    const body = (text === "" ? {} : JSON.parse(text)) as Record<string, unknown>;
    const parts = pathname.slice("/api/v1/".length).split("/").map(decodeURIComponent);
    const own = request.method === "GET" || request.headers["farhub-request"] !== undefined;
    const answer = !own
      ? { ...NEEDED, status: 403, code: "refused" }
      : ways.includes(pathname)
        ? this.#login(parts[0], cookie, body)
        : this.#answer(request.method ?? "GET", parts, body, searchParams);
    const json =
      "code" in answer
        ? { error: { code: answer.code, message: answer.message, hint: answer.hint } }
        : answer.body;
    const headers = "headers" in answer ? answer.headers : {};
    response.writeHead(answer.status, { "content-type": "application/json", ...headers });
    response.end(json === undefined ? "" : JSON.stringify(json));
    if (request.method !== "GET" && !("code" in answer)) this.#send("state", this.state);
  }

  /** Ends every session, but not what is streamed to it. */
  forget(): void {
    this.#sessions.clear();
  }

  /** Ends every session, and with it what is streamed to it. */
  expire(): void {
    this.forget();
    for (const stream of this.#streams) stream.end();
    this.#streams.clear();
  }

  #login(what: string | undefined, cookie: string, body: Record<string, unknown>): Answer | Failure {
    const done = this.#sessions.has(cookie);
    const session = { id: "3f2a9c01", account: "admin", address: "192.0.2.1", agent: "Chromium" };
    const times = { since: "2026-11-21T05:00:00Z", seen: "2026-11-21T05:00:00Z" };
    const whole = { ...session, ...times, expires: "2026-11-21T17:00:00Z" };
    const attributes = "Path=/; Secure; HttpOnly; SameSite=Strict";
    if (what === "session") {
      const login = this.password === null ? "off" : done ? "done" : "needed";
      return { status: 200, body: { login, session: login === "done" ? whole : null } };
    }
    if (what === "logout") {
      this.expire();
      return {
        status: 204,
        headers: { "set-cookie": `__Host-farhub=; Max-Age=0; ${attributes}` },
      };
    }
    if (this.wait_s > 0) {
      const headers = { "retry-after": String(this.wait_s) };
      return { ...NEEDED, status: 429, code: "too_many", headers };
    }
    if (body.password !== this.password) return { ...NEEDED, status: 401 };
    this.#logins += 1;
    const token = `token${this.#logins}`;
    this.#sessions.add(token);
    return {
      status: 200,
      body: { login: "done", session: whole },
      headers: { "set-cookie": `__Host-farhub=${token}; Max-Age=600; ${attributes}` },
    };
  }

  #stream(response: ServerResponse): void {
    response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
    this.#streams.add(response);
    response.on("close", () => this.#streams.delete(response));
    response.write(`: hello\n\nevent: state\ndata: ${JSON.stringify(this.state)}\n\n`);
  }

  #answer(
    method: string,
    parts: string[],
    body: Record<string, unknown>,
    query: URLSearchParams,
  ): Answer | Failure {
    const [what, name = "", third = ""] = parts;
    if (method !== "GET" && this.fail) {
      const { fail } = this;
      this.fail = null;
      return fail;
    }
    switch (`${method} ${what}${third && what === "peers" ? ` ${third}` : ""}`) {
      case "GET state":
        return { status: 200, body: this.state };
      case "POST devices":
        if (third === "handover") {
          const device = this.device(name);
          if (!device) return NOT_FOUND;
          device.state = "free";
          return { status: 200, body: device };
        }
        return this.#share(name, third === "share", body);
      case "POST unlock":
        return this.#unlock(body);
      case "POST asked":
        this.state.asked.push({
          address: String(body.address),
          message: String(body.message),
          since: new Date().toISOString(),
          reply: null,
          error: null,
        });
        return { status: 204 };
      case "DELETE asked":
        this.state.asked = this.state.asked.filter((one) => one.address !== `${name}/${third}`);
        return { status: 204 };
      case "POST requests":
        this.answered.push({ number: Number(name), word: third, body });
        this.state.requests = this.state.requests.filter((one) => one.number !== Number(name));
        return { status: 204 };
      case "GET audit":
        return { status: 200, body: name === "check" ? checked() : log(query) };
      case "POST attachments":
        return this.#attach(body);
      case "DELETE attachments":
        return this.#detach(`${name}/${third}`);
      case "POST invites":
        return { status: 200, body: invite(Number(body.expires_s)) };
      case "POST pair":
        return this.#pair(body);
      case "POST pairings":
        return third === "accept" ? this.#accept(body) : this.#ask(body);
      case "DELETE pairings":
        this.state.pairings = [];
        return { status: 204 };
      default:
        return this.#peer(method, name, third, body, query);
    }
  }

  #share(key: string, shared: boolean, body: Record<string, unknown>): Answer | Failure {
    const device = this.device(key);
    if (!device) return NOT_FOUND;
    device.shared = shared;
    if (typeof body.name === "string") {
      device.name = body.name;
      device.address = `${device.hub}/${body.name}`;
    }
    if (!shared) device.state = "free";
    return { status: 200, body: device };
  }

  #attach(body: Record<string, unknown>): Answer | Failure {
    const address = String(body.address);
    const device = this.device(address);
    if (!device) return NOT_FOUND;
    const usbip = body.via === "usbip";
    const attachment: Attachment = {
      address,
      via: (body.via as Attachment["via"] | undefined) ?? "vhci",
      state: "connecting",
      since: new Date().toISOString(),
      place: usbip ? "usbip --tcp-port 40213 attach -r 127.0.0.1 -b f3k92m" : null,
      nodes: [],
      error: null,
    };
    this.state.attachments.push(attachment);
    if (typeof attachment.via === "object")
      this.land(address, "", Object.values(attachment.via.port));
    else if (!usbip && !this.hold) this.land(address);
    return { status: 201, body: attachment };
  }

  /** The PIN is 4711, the code 123456. */
  #unlock(body: Record<string, unknown>): Answer | Failure {
    const found = this.state.attachments.find((each) => each.address === body.address);
    if (!found) return NOT_FOUND;
    if ((body.pin ?? "4711") !== "4711" || (body.code ?? "123456") !== "123456") {
      return {
        status: 403,
        code: "refused",
        message: `${found.address}: the PIN or the code is wrong`,
        hint: "a code is good once: wait for the next one",
      };
    }
    delete found.factor;
    found.error = null;
    this.land(found.address);
    return { status: 204 };
  }

  #detach(address: string): Answer | Failure {
    const before = this.state.attachments.length;
    this.state.attachments = this.state.attachments.filter((each) => each.address !== address);
    if (this.state.attachments.length === before) return NOT_FOUND;
    const device = this.device(address);
    if (device) device.state = "free";
    return { status: 204 };
  }

  #pair(body: Record<string, unknown>): Answer | Failure {
    if (!String(body.ticket).startsWith("farhub")) {
      return {
        status: 400,
        code: "ticket",
        message: "This is not a farhub ticket.",
        hint: "A ticket starts with “farhub”. Copy all of it from the other hub's invitation.",
      };
    }
    return { status: 200, body: this.join(String(body.name ?? "workshop")) };
  }

  /** A hub is out of reach: it shows nothing, and what is attached from it waits. */
  freeze(hub: string): void {
    this.change((state) => {
      for (const peer of state.peers)
        if (peer.name === hub) [peer.online, peer.path] = [false, null];
      state.devices = state.devices.filter((each) => each.hub !== hub);
      for (const each of state.attachments)
        if (each.address.startsWith(`${hub}/`)) each.state = "frozen";
    });
  }

  #ask(body: Record<string, unknown>): Answer {
    const known = this.state.nearby.find((each) => each.id === body.hub);
    const shown = "189 869";
    const asked = pairing(known?.name ?? "shed", { id: 8, side: "asking", shown });
    this.state.pairings = [asked];
    return { status: 200, body: asked };
  }

  #accept(body: Record<string, unknown>): Answer | Failure {
    const [open] = this.state.pairings;
    if (!open) return NOT_FOUND;
    const digits = String(body.code).replace(/\D/g, "");
    if (digits !== (open.side === "asked" ? "189869" : "20")) {
      const message = "That is not what the other hub shows; 2 tries left.";
      return { status: 400, code: "bad_request", message, hint: null };
    }
    if (open.side === "asked") Object.assign(open, { state: "check", shown: "20" });
    else this.paired();
    return { status: 200, body: open };
  }

  /** The pairing that is open comes to its good end. */
  paired(): void {
    const [open] = this.state.pairings;
    if (!open) return;
    Object.assign(open, { state: "paired", shown: null, peer: this.join(open.name).name });
    for (const each of this.state.nearby) if (each.name === open.name) each.peer = open.name;
  }

  /** Another hub pairs with this one. */
  join(name: string) {
    const peer = {
      id: hubId(name),
      name,
      online: true,
      trusted: false,
      grants: [],
      error: null,
      named: [],
      path: way("direct", "203.0.113.7:41641", 18.4),
    };
    this.state.peers.push(peer);
    return peer;
  }

  #grant(peer: State["peers"][number], { pin, ...grant }: NewGrant) {
    peer.grants.push({ ...grant, ...(pin ? { pin: true } : {}) });
    const secret = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";
    const uri = `otpauth://totp/farhub:${peer.name}@desk?secret=${secret}&issuer=farhub`;
    return { peer, ...(grant.totp ? { totp: { uri, secret, qr_svg: qr() } } : {}) };
  }

  #peer(
    method: string,
    name: string,
    part: string,
    body: Record<string, unknown>,
    query: URLSearchParams,
  ): Answer | Failure {
    const peer = this.state.peers.find((each) => each.name === name);
    if (!peer) return NOT_FOUND;
    switch (`${method} ${part}`) {
      case "DELETE ":
        this.state.peers = this.state.peers.filter((each) => each !== peer);
        this.state.devices = this.state.devices.filter((each) => each.hub !== name);
        this.state.attachments = this.state.attachments.filter(
          (each) => !each.address.startsWith(`${name}/`),
        );
        return { status: 204 };
      case "PUT trust":
        peer.trusted = Boolean(body.trusted);
        return { status: 200, body: peer };
      case "POST grants":
        return { status: 200, body: this.#grant(peer, body as NewGrant) };
      case "DELETE grants":
        peer.grants = peer.grants.filter((each) => each.selector !== query.get("selector"));
        return { status: 204 };
      case "GET path":
        return { status: 200, body: paths(peer) };
      default:
        return NOT_FOUND;
    }
  }
}

function log(query: URLSearchParams) {
  const actions = ["session.start", "grant.given", "device.refused", "factor.proven"];
  const last = Number(query.get("before") ?? 71) - 1;
  const all = Array.from({ length: last }, (_, i) => last - i).map((seq) => ({
    seq,
    time: new Date(Date.UTC(2026, 10, 21, 8, 0, 0) + seq * 61_000).toISOString(),
    actor: seq % 3 === 0 ? "local" : hubId("garage"),
    name: seq % 3 === 0 ? null : "garage",
    action: actions[seq % actions.length] ?? "",
    detail: `usb-fa4b:0001:0001 ${seq % 4 === 1 ? hubId("garage") : ""}`,
    hash: hubId(String(seq)),
  }));
  const action = query.get("action") ?? "";
  const found = all.filter((entry) => entry.action.startsWith(action));
  const limit = Number(query.get("limit"));
  return { entries: found.slice(0, limit), more: found.length > limit };
}

const checked = () => ({
  entries: 1234,
  hash: hubId("last"),
  broken: { seq: 1235, how: "changed" },
});

function serveFile(pathname: string, response: ServerResponse): void {
  const path = join(DIST, normalize(pathname === "/" ? "/index.html" : pathname));
  if (!path.startsWith(DIST) || !existsSync(path)) {
    response.writeHead(404).end();
    return;
  }
  response.writeHead(200, {
    "content-type": MIME[extname(path)] ?? "application/octet-stream",
    "content-security-policy": CSP,
  });
  response.end(readFileSync(path));
}

function invite(expires_s: number) {
  return {
    ticket: "farhub1qy8x4ml2kd7h3vz5tn6w0jr9cgp2sae8uf4xkmq7l3zd5v6h0tw9n2jrc8gyp4sqe7uaf3xm",
    expires: new Date(Date.now() + expires_s * 1000).toISOString(),
    qr_svg: qr(),
  };
}

function paths(peer: Peer): Paths {
  const at = new Date(Date.now() - 7_380_000).toISOString();
  const nowhere = { local: null, remote: null };
  const near: Candidate = {
    ...nowhere,
    kind: "lan",
    address: "192.168.1.40:41641",
    state: "failed",
    tries: 2,
    elapsed_ms: 3000,
    error: "no answer in 1.0 s",
  };
  const far: Candidate = {
    ...nowhere,
    kind: "direct",
    address: "[2001:db8:4:77::1a]:41641",
    state: "cancelled",
    tries: 1,
    elapsed_ms: 251,
    error: null,
  };
  const relay: Candidate = {
    ...nowhere,
    kind: "relay",
    address: "https://relay.example.org/",
    state: "cancelled",
    tries: 0,
    elapsed_ms: 0,
    error: null,
  };
  const none = { events: [], open: [], path: null, connected_since: null };
  const { path } = peer;
  if (!peer.online || !path) {
    const race = { at, elapsed_ms: 3000, over: true, reason: "no_answer" as const };
    const why = { code: "no_answer" as const, message: "", hint: "", at: null, count: 1 };
    const off = { ...relay, error: "switched off" };
    const candidates = [near, off];
    const error = "It does not answer at its only address";
    return { ...none, online: false, error, race: { ...race, candidates }, why: [why] };
  }
  const open = [{ ...path, selected: true }];
  const won = { state: "success" as const, tries: 1, elapsed_ms: 12, remote: path.remote };
  if (path.kind !== "relay") {
    const race = { at, elapsed_ms: 12, over: true, reason: "worked_last" as const };
    const candidates = [{ ...near, ...won, error: null }, { ...far, tries: 0 }, relay];
    const spare = { ...path, kind: "relay" as const, remote: relay.address, rtt_ms: 47.3 };
    open.push({ ...spare, local: null, selected: false });
    const online = { online: true, error: null, connected_since: at, path, open, events: [] };
    return { ...online, race: { ...race, candidates }, why: [] };
  }
  const race = { at, elapsed_ms: 512, over: true, reason: "fastest" as const };
  const candidates = [{ ...near, elapsed_ms: 500 }, far, { ...relay, ...won }];
  const closed = { at, what: "closed" as const, kind: "direct" as const, remote: far.address };
  const why = [
    { code: "direct_lost" as const, message: "", hint: "", at, count: null },
    { code: "no_public_address" as const, message: "", hint: "", at: null, count: null },
  ];
  const online = { online: true, error: null, connected_since: at, path, open, events: [closed] };
  return { ...online, race: { ...race, candidates }, why };
}

/** Looks like a QR code; says nothing. */
function qr(): string {
  const size = 29;
  const finder = (x: number, y: number) =>
    [
      [0, 0],
      [size - 7, 0],
      [0, size - 7],
    ].some(([a = 0, b = 0]) => x >= a - 1 && x < a + 8 && y >= b - 1 && y < b + 8);
  let dots = "";
  let seed = 5;
  for (let y = 0; y < size; y += 1) {
    for (let x = 0; x < size; x += 1) {
      seed = (seed * 1_103_515_245 + 12_345) >>> 0;
      if (!finder(x, y) && (seed >>> 16) & 1) dots += `M${x} ${y}h1v1h-1z`;
    }
  }
  for (const [x, y] of [
    [0, 0],
    [size - 7, 0],
    [0, size - 7],
  ]) {
    dots += `M${x} ${y}h7v7h-7zm1 1v5h5v-5zm1 1h3v3h-3z`;
  }
  const paper = `<path fill="#fff" d="M-2-2h33v33h-33z"/>`;
  const ink = `<path fill-rule="evenodd" d="${dots}"/>`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="-2 -2 33 33">${paper}${ink}</svg>`;
}
