/** The machines of the mock hub: their API, a little life, and ways to make things happen. */
import { createHash } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Act, Job, Machine, Report } from "../src/machine/api";
import { board, job, laser, past, preview } from "./machines";

type Fault = { status: number; code: string; message: string; hint: string | null };
type Given = { status: number; body?: unknown } | Fault;
type Call = {
  method: string;
  rest: string[];
  body: Record<string, unknown>;
  raw: Buffer;
  offset: number;
};

const GOOD: Report = {
  confirmed: true,
  rungs: [
    { name: "0x84 safety door", at_ms: 4, confirmed: true },
    { name: "0x18 reset", at_ms: 212, confirmed: true },
  ],
  left_after_us: 380,
};
const BAD: Report = {
  confirmed: false,
  rungs: [
    { name: "0x84 safety door", at_ms: 4, confirmed: false },
    { name: "0x18 reset", at_ms: 214, confirmed: false },
    { name: "DTR", at_ms: 730, confirmed: false },
  ],
  left_after_us: 380,
};
const NO: Fault = {
  status: 404,
  code: "not_found",
  message: "There is no such machine.",
  hint: null,
};

class Sim {
  jobs: Job[];
  content = new Map<number, Buffer[]>();
  said = "Grbl 1.1h ['$' for help]\r\n[MSG:'$H'|'$X' to unlock]\r\nok\r\n";
  streams = new Set<ServerResponse>();
  segments = 1200;
  constructor(
    readonly machine: Machine,
    jobs: Job[],
  ) {
    this.jobs = jobs;
  }
}

export class Machines {
  sims = new Map<string, Sim>();
  /** What was asked, in order: `stop desk/engraver`, `act {...}`. */
  asked: string[] = [];
  /** The stop ladder ends without the machine's word. */
  deaf = false;
  /** Answers to STOP wait until the test lets them go. */
  held: (() => void)[] | null = null;
  /** Nothing is heard of any machine, and nobody answers for them. */
  silent = false;
  /** Arming wants this code. */
  code: string | null = null;
  /** So many pieces of uploads are cut off. */
  cuts = 0;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor() {
    const engraver = laser();
    const { job: checked } = engraver;
    engraver.job = null;
    this.sims.set("desk/engraver", new Sim(engraver, checked ? [checked, ...past] : past));
    const printer = new Sim(board(), []);
    printer.said =
      "start\nMarlin 2.1.2.5\necho:SD card ok\nok T:199.6 /200.0 B:60.1 /60.0 @:70 B@:24\n";
    this.sims.set("garage/printer-board", printer);
  }

  up(): void {
    clearInterval(this.#timer);
    this.#timer = setInterval(() => this.#beat(), 200);
  }

  down(): void {
    clearInterval(this.#timer);
    for (const sim of this.sims.values()) sim.streams.clear();
  }

  sim(address: string): Sim {
    const found = this.sims.get(address);
    if (!found) throw new Error(`no ${address}`);
    return found;
  }

  change(address: string, edit: (machine: Machine) => void): void {
    const sim = this.sim(address);
    edit(sim.machine);
    this.#send(sim, "machine", sim.machine);
  }

  say(address: string, text: string): void {
    const sim = this.sim(address);
    sim.said = (sim.said + text).slice(-64 * 1024);
    this.#send(sim, "output", { text, missed: false });
  }

  /** The job of the list runs, and is at this line. */
  run(address: string, id: number, line: number): void {
    const sim = this.sim(address);
    const found = sim.jobs.find((each) => each.id === id);
    if (!found) throw new Error(`no job ${id}`);
    const left_s = Math.round((found.estimate_s ?? 0) * (1 - line / found.lines));
    const started = new Date(Date.now() - 300_000).toISOString();
    Object.assign(found, { state: "running", line, left_s, started });
    this.change(address, (machine) => (machine.job = found));
  }

  /** True when the request was for a machine. */
  async serve(
    request: IncomingMessage,
    response: ServerResponse,
    pathname: string,
    query: URLSearchParams,
  ): Promise<boolean> {
    const parts = pathname.slice("/api/v1/".length).split("/").map(decodeURIComponent);
    const found = this.#find(parts);
    if (!found) return false;
    const { sim, rest } = found;
    if (rest.join("/") === "machine/events" && sim) return this.#stream(sim, response);
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const raw = Buffer.concat(chunks);
    if (rest[2] === "content" && this.cuts > 0) {
      this.cuts -= 1;
      // an answer that breaks off: a browser sends again by itself what was not answered at all
      response.writeHead(200, { "content-type": "application/json", "content-length": "99" });
      response.write("{", () => request.socket.destroy());
      return true;
    }
    // A hub that is out of reach leaves one waiting.
    if (this.silent && (rest[0] === "machine" || rest[0] === "test")) return true;
    const json = request.headers["content-type"]?.includes("json") && raw.length > 0;
    const body = (json ? JSON.parse(raw.toString()) : {}) as Record<string, unknown>;
    if (this.held !== null && rest[0] === "stop")
      await new Promise<void>((go) => this.held?.push(go));
    const method = request.method ?? "GET";
    const call = { method, rest, body, raw, offset: Number(query.get("offset")) };
    const given = sim ? this.#answer(sim, call) : rest[0] === "stop" ? this.#stopAll() : NO;
    const error = "code" in given ? given : null;
    response.writeHead(given.status, { "content-type": "application/json" });
    const answer = error ? { error } : "body" in given ? given.body : undefined;
    response.end(answer === undefined ? "" : JSON.stringify(answer));
    return true;
  }

  #find(parts: string[]): { sim: Sim | null; rest: string[] } | null {
    const [what, a = "", b = ""] = parts;
    if (what === "machines") {
      if (a === "stop") return { sim: null, rest: ["stop"] };
      return { sim: this.sims.get(`${a}/${b}`) ?? null, rest: parts.slice(3) };
    }
    const own = what === "devices" ? ["desk", ...parts.slice(1)] : [];
    const other = what === "hubs" && parts[4] === "devices" ? [a, ...parts.slice(5)] : own;
    const [hub, name, ...rest] = other;
    if (rest[0] !== "machine" && rest[0] !== "jobs") return null;
    return { sim: this.sims.get(`${hub}/${name}`) ?? null, rest };
  }

  #stream(sim: Sim, response: ServerResponse): true {
    response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
    sim.streams.add(response);
    response.on("close", () => sim.streams.delete(response));
    this.#send(sim, "machine", sim.machine);
    this.#send(sim, "output", { text: sim.said, missed: false });
    return true;
  }

  #send(sim: Sim, event: string, data: unknown): void {
    if (this.silent) return;
    for (const stream of sim.streams)
      stream.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  }

  #beat(): void {
    for (const sim of this.sims.values()) {
      const { state } = sim.machine;
      state.counters.received += 46;
      this.#send(sim, "machine", sim.machine);
    }
  }

  #answer(sim: Sim, { method, rest, body, raw, offset }: Call): Given {
    const { address } = sim.machine;
    const [what, name = "", third = ""] = rest;
    if (what === "stop") return { status: 200, body: this.#stop(sim) };
    if (what === "test") return { status: 204 };
    if (what === "jobs") {
      if (method !== "GET" && name === "") this.asked.push(`job ${String(body.name)}`);
      return this.#jobs(sim, method, name, third, body, raw, offset);
    }
    if (name !== "") this.asked.push(`${name} ${JSON.stringify(body)}`);
    switch (`${method} ${name}`) {
      case "GET ":
        return { status: 200, body: sim.machine };
      case "POST clear":
        this.change(address, ({ state }) => {
          state.stopped = null;
          if (state.status) state.status.state = "idle";
        });
        return { status: 204 };
      case "POST arm":
        if (this.code !== null && body.code !== this.code) {
          const message = "the code of an authenticator app is needed";
          return { status: 403, code: "code_needed", message, hint: null };
        }
        this.change(
          address,
          ({ state }) => (state.arming = { armed: { left_s: 120, by: "desk" } }),
        );
        return { status: 204 };
      case "POST disarm":
        this.change(address, ({ state }) => (state.arming = "safe"));
        return { status: 204 };
      case "POST send":
        this.say(address, answerTo(String(body.text)));
        return { status: 204 };
      case "POST act":
        this.change(address, (machine) => move(machine, body as Act));
        return { status: 204 };
      case "PUT settings":
        this.change(address, (machine) => Object.assign(machine.settings, body));
        return { status: 200, body: sim.machine.settings };
      default:
        return NO;
    }
  }

  #stopAll(): Given {
    return { status: 200, body: [...this.sims.values()].map((sim) => this.#stop(sim)) };
  }

  #stop(sim: Sim) {
    const { address } = sim.machine;
    this.asked.push(`stop ${address}`);
    const report = this.deaf ? BAD : GOOD;
    const running = sim.jobs.find((each) => each.state === "running");
    this.change(address, ({ state }) => {
      if (running) running.state = "aborted";
      state.stopped = { reason: { asked: { by: "desk" } }, report };
      state.stops += 1;
      state.arming = state.arming === "off" ? "off" : "safe";
      state.beam_may_be_on = this.deaf;
      if (state.status) Object.assign(state.status, { state: "alarm", feed: 0, spindle: 0 });
    });
    this.say(address, "ALARM:3\r\n");
    return { address, report, left_ms: 3.6, error: null };
  }

  #jobs(
    sim: Sim,
    method: string,
    name: string,
    third: string,
    body: Record<string, unknown>,
    raw: Buffer,
    offset: number,
  ): Given {
    if (method === "GET" && name === "") return { status: 200, body: sim.jobs };
    if (method === "POST" && name === "") {
      const id = Math.max(0, ...sim.jobs.map((each) => each.id)) + 1;
      const fresh = { ...job({ id, state: "uploading", received_bytes: 0, lines: 0 }), ...body };
      Object.assign(fresh, { extent: null, estimate_s: null });
      sim.jobs.unshift(fresh);
      return { status: 201, body: fresh };
    }
    const found = sim.jobs.find((each) => each.id === Number(name));
    if (!found) return NO;
    if (third === "preview") return { status: 200, body: preview(sim.segments) };
    if (third === "content") {
      if (offset !== found.received_bytes)
        return { status: 409, code: "conflict", message: "not where it ended", hint: null };
      const pieces = [...(sim.content.get(found.id) ?? []), raw];
      sim.content.set(found.id, pieces);
      found.received_bytes += raw.length;
      const hash = createHash("sha256").update(Buffer.concat(pieces)).digest("hex");
      if (found.received_bytes === found.bytes)
        found.state = hash === found.sha256 ? "checked" : "fault";
      return { status: 200, body: found };
    }
    this.asked.push(`${third || "delete"} ${found.id}`);
    if (method === "DELETE") {
      sim.jobs = sim.jobs.filter((each) => each !== found);
      return { status: 204 };
    }
    if (third === "rest") {
      const id = Math.max(...sim.jobs.map((each) => each.id)) + 1;
      const made = job({ id, state: "checked", name: `${found.name} from line ${body.from_line}` });
      sim.jobs.unshift(made);
      return { status: 201, body: made };
    }
    const next = { arm: "armed", start: "running", hold: "held", resume: "running" } as const;
    found.state = next[third as keyof typeof next] ?? "aborted";
    this.change(sim.machine.address, (machine) => (machine.job = found));
    return { status: 200, body: found };
  }
}

function answerTo(text: string): string {
  if (text === "$$")
    return "$0=10\r\n$32=1\r\n$130=400.000\r\n$131=400.000\r\n$132=50.000\r\nok\r\n";
  if (text === "$I") return "[VER:1.1h.20190830:]\r\n[OPT:V,15,128]\r\nok\r\n";
  return /^[GMXYZFS$]/i.test(text) ? "ok\r\n" : "error:1\r\n";
}

function move({ state }: Machine, act: Act): void {
  const { status } = state;
  if (!status) return;
  const add = (at: number[] | null, by: number[]) =>
    at?.map((value, axis) => value + (by[axis] ?? 0)) ?? null;
  if (act.act === "jog") {
    const by = [act.x ?? 0, act.y ?? 0, act.z ?? 0];
    status.work = add(status.work, by);
    status.machine = add(status.machine, by);
  }
  if (act.act === "hold") status.state = "hold";
  if (act.act === "resume") status.state = "run";
  if (act.act === "unlock" || act.act === "home") status.state = "idle";
  if (act.act === "zero")
    status.work =
      status.work?.map((at, i) => (act.axes.includes("xyz"[i] ?? "-") ? 0 : at)) ?? null;
  if ((act.act === "feed" || act.act === "rapid" || act.act === "spindle") && status.overrides)
    status.overrides[act.act] = act.percent;
}
