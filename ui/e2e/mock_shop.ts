/** The print shop of a mock hub, strictly by the contract: what it does not know it refuses. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Job, Printer, Probe } from "../src/shop/api";
import { NONE, type Body, type Fault, type Given } from "./mock_answer";
import { files, put, tags } from "./mock_files";
import { jobs, queue } from "./mock_jobs";
import { channels, folders } from "./mock_notices";
import { printers } from "./mock_printers";
import { us, type ShopWorld } from "./shop_world";

export class Shop {
  /** What was asked, in order: `command prt-a1-left "pause"`. */
  asked: string[] = [];
  /** What the next test of a connection finds. */
  probe: Probe | null = null;
  /** What the next changing request is answered with, instead of being done. */
  fail: Fault | null = null;
  /** Transfers wait until the test says `go()`. */
  hold = false;
  /** The events' stream is refused, and everything else. */
  broken = false;
  /** A hub of the time before there were printers. */
  absent = false;
  #streams = new Set<ServerResponse>();
  count = 1;
  made = 0;
  #timers = new Set<ReturnType<typeof setTimeout>>();
  #held: (() => void)[] = [];

  constructor(public world: ShopWorld) {}

  down(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#streams.clear();
  }

  printer(key: string): Printer {
    const found = this.world.printers.find(({ id, name }) => id === key || name === key);
    if (!found) throw new Error(`no printer ${key}`);
    return found;
  }

  /** Changes one, and sends the difference. */
  change(key: string, edit: (printer: Printer) => void): void {
    this.changeAll([key], edit);
  }

  changeAll(keys: string[], edit: (printer: Printer) => void): void {
    const printers: Body = {};
    for (const key of keys) {
      const printer = this.printer(key);
      const before = structuredClone(printer);
      edit(printer);
      printers[printer.id] = diff(before, printer);
    }
    this.count += 1;
    this.send("changes", { count: this.count, printers });
  }

  /** Changes one, and loses the news of it. */
  lose(key: string, edit: (printer: Printer) => void): void {
    edit(this.printer(key));
    this.count += 1;
  }

  /** A whole look again, as for one that fell behind. */
  again(): void {
    this.send("printers", { printers: this.world.printers, count: this.count });
  }

  /** Out of reach, until `broken` is false again. */
  break(): void {
    this.broken = true;
    for (const stream of this.#streams) stream.destroy();
    this.#streams.clear();
  }

  tell(event: "files" | "queue" | "channels", data: Body = {}): void {
    this.send(event, data);
  }

  /** The print comes to its end by itself. */
  finish(key: string, state: "finished" | "failed" = "finished", reason?: string): void {
    const { id, job_id } = this.printer(key);
    this.change(id, (printer) => {
      if (!printer.state) return;
      printer.state.phase = state;
      printer.bed_clear = false;
      delete printer.job_id;
      if (printer.state.job && state === "finished")
        Object.assign(printer.state.job, { progress_percent: 100, remaining_s: 0 });
    });
    this.end(job_id, state, reason);
  }

  /** The transfers that were held go on. */
  go(): void {
    this.hold = false;
    for (const next of this.#held.splice(0)) next();
  }

  end(job_id: string | undefined, state: Job["state"], reason?: string): void {
    const job = this.world.jobs.find(({ id }) => id === job_id);
    if (!job) return;
    const ended_us = us(0);
    const printed_s = Math.round((ended_us - job.started_us) / 1e6) - job.paused_s;
    Object.assign(job, { state, ended_us, printed_s, known_by: "seen" }, reason ? { reason } : {});
    if (state === "finished") job.progress_permille = 1000;
    this.send("job", job);
  }

  send(event: string, data: unknown): void {
    for (const stream of this.#streams)
      stream.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  }

  later(work: () => void): void {
    if (this.hold) return void this.#held.push(work);
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      if (this.hold) this.#held.push(work);
      else work();
    }, 60);
    this.#timers.add(timer);
  }

  async serve(
    request: IncomingMessage,
    response: ServerResponse,
    parts: string[],
    query: URLSearchParams,
  ): Promise<boolean> {
    if (parts[0] !== "printers" && parts[0] !== "shop") return false;
    if (this.absent) return false;
    const method = request.method ?? "GET";
    if (this.broken) {
      const body = { code: "unreachable", message: "The hub does not answer.", hint: null };
      response.writeHead(502, { "content-type": "application/json" });
      return response.end(JSON.stringify({ error: body })), true;
    }
    if (parts.join("/") === "printers/events") return this.#stream(response);
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const raw = Buffer.concat(chunks);
    const own = method === "GET" || request.headers["farhub-request"] !== undefined;
    let given: Given;
    if (!own) given = { ...NONE, status: 403, code: "refused" };
    else if (method !== "GET" && this.fail) [given, this.fail] = [this.fail, null];
    else if (method === "PUT" && parts[1] === "files")
      given = put(this, String(query.get("name")), raw);
    else {
      const body = (raw.length === 0 ? {} : JSON.parse(raw.toString())) as Body;
      given = parts[0] === "printers"
        ? printers(this, method, parts.slice(1), body)
        : this.#shop(method, parts.slice(1), body, query);
    }
    const error = "code" in given
      ? { error: { code: given.code, message: given.message, hint: given.hint } }
      : null;
    const text = "text" in given ? given.text : undefined;
    const type = ("type" in given && given.type) || "application/json";
    response.writeHead(given.status, { "content-type": type });
    const json = error ?? ("body" in given ? given.body : undefined);
    response.end(text ?? (json === undefined ? "" : JSON.stringify(json)));
    return true;
  }

  #stream(response: ServerResponse): true {
    response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
    this.#streams.add(response);
    response.on("close", () => this.#streams.delete(response));
    const snapshot = { printers: this.world.printers, count: this.count };
    response.write(`event: printers\ndata: ${JSON.stringify(snapshot)}\n\n`);
    return true;
  }

  #shop(method: string, [what, key, act]: string[], body: Body, query: URLSearchParams): Given {
    switch (what) {
      case "jobs":
        return jobs(this, method, key, body, query);
      case "files":
        return files(this, method, key, act, body, query);
      case "tags":
        return { status: 200, body: tags(this) };
      case "queue":
        return queue(this, method, key, body, query);
      case "folders":
        return folders(this, method, key, body);
      case "channels":
        return channels(this, method, key, act, body);
      default:
        return NONE;
    }
  }
}

/** The RFC 7386 patch that makes the one of the other. */
export function diff(before: unknown, after: unknown): unknown {
  const object = (value: unknown): value is Body =>
    typeof value === "object" && value !== null && !Array.isArray(value);
  if (!object(before) || !object(after)) return after;
  const patch: Body = {};
  for (const key of Object.keys(before)) if (after[key] === undefined) patch[key] = null;
  for (const [key, value] of Object.entries(after)) {
    if (value === undefined || JSON.stringify(before[key]) === JSON.stringify(value)) continue;
    patch[key] = before[key] === undefined ? value : diff(before[key], value);
  }
  return patch;
}
