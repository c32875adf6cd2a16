/** The print shop of a mock hub, strictly by the contract: what it does not know it refuses. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type {
  Command,
  Job,
  NewPrinter,
  Printer,
  Probe,
  QueueItem,
  ShopFile,
} from "../src/shop/api";
import { file as newFile, idle, printer as newPrinter, us, type ShopWorld } from "./shop_world";

type Fault = { status: number; code: string; message: string; hint: string | null };
type Given = { status: number; body?: unknown; text?: string; type?: string } | Fault;
type Body = Record<string, unknown>;

const NONE: Fault = { status: 404, code: "not_found", message: "There is no such thing.", hint: null };
const bad = (message: string): Fault => ({ status: 400, code: "bad_request", message, hint: null });

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
  #count = 1;
  #made = 0;
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
    this.#count += 1;
    this.#send("changes", { count: this.#count, printers });
  }

  /** Changes one, and loses the news of it. */
  lose(key: string, edit: (printer: Printer) => void): void {
    edit(this.printer(key));
    this.#count += 1;
  }

  /** A whole look again, as for one that fell behind. */
  again(): void {
    this.#send("printers", { printers: this.world.printers, count: this.#count });
  }

  /** Out of reach, until `broken` is false again. */
  break(): void {
    this.broken = true;
    for (const stream of this.#streams) stream.destroy();
    this.#streams.clear();
  }

  tell(event: "files" | "queue" | "channels", data: Body = {}): void {
    this.#send(event, data);
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
    this.#end(job_id, state, reason);
  }

  /** The transfers that were held go on. */
  go(): void {
    this.hold = false;
    for (const next of this.#held.splice(0)) next();
  }

  #end(job_id: string | undefined, state: Job["state"], reason?: string): void {
    const job = this.world.jobs.find(({ id }) => id === job_id);
    if (!job) return;
    const ended_us = us(0);
    const printed_s = Math.round((ended_us - job.started_us) / 1e6) - job.paused_s;
    Object.assign(job, { state, ended_us, printed_s, known_by: "seen" }, reason ? { reason } : {});
    if (state === "finished") job.progress_permille = 1000;
    this.#send("job", job);
  }

  #send(event: string, data: unknown): void {
    for (const stream of this.#streams)
      stream.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  }

  #later(work: () => void): void {
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
      given = this.#put(String(query.get("name")), raw);
    else {
      const body = (raw.length === 0 ? {} : JSON.parse(raw.toString())) as Body;
      given = parts[0] === "printers"
        ? this.#printers(method, parts.slice(1), body)
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
    const snapshot = { printers: this.world.printers, count: this.#count };
    response.write(`event: printers\ndata: ${JSON.stringify(snapshot)}\n\n`);
    return true;
  }

  #printers(method: string, [key, what]: string[], body: Body): Given {
    const { world } = this;
    if (key === undefined) {
      if (method === "GET") return { status: 200, body: world.printers };
      return this.#add(body as NewPrinter);
    }
    if (key === "seen") return { status: 200, body: world.seen };
    if (key === "test") {
      const wrong = unknown(body, NEW_PRINTER);
      if (wrong) return wrong;
      this.asked.push(`test ${JSON.stringify(body)}`);
      const good = {
        problem: null, identity: { model: "X1 Carbon", firmware: "01.08.00", nozzles_um: [400] },
        pin: "9f".repeat(32), read_only: null,
      };
      return { status: 200, body: this.probe ?? good };
    }
    const printer = world.printers.find(({ id, name }) => id === key || name === key);
    if (!printer) return NONE;
    if (method === "GET") return { status: 200, body: printer };
    this.asked.push(`${what ?? method} ${printer.id} ${JSON.stringify(body.command ?? body)}`);
    if (method === "DELETE") {
      world.printers = world.printers.filter((each) => each !== printer);
      this.#count += 1;
      this.#send("changes", { count: this.#count, printers: { [printer.id]: null } });
      return { status: 204 };
    }
    if (method === "PATCH") return this.#patch(printer, body);
    switch (what) {
      case "command":
        return this.#command(printer, body.command as Command);
      case "bed-clear":
        this.change(printer.id, (each) => (each.bed_clear = true));
        return { status: 200, body: printer };
      case "retry":
        this.change(printer.id, ({ health }) => Object.assign(health, { link: "connecting" }));
        return { status: 204 };
      case "files":
        this.tell("files", { place: printer.id });
        return { status: 204 };
      default:
        return NONE;
    }
  }

  #add(body: NewPrinter): Given {
    const wrong = unknown(body, NEW_PRINTER);
    if (wrong) return wrong;
    this.asked.push(`add ${JSON.stringify(body)}`);
    const title = body.title ?? body.model ?? body.protocol;
    const made = newPrinter(title, body.protocol, body.model ?? "", idle(body.protocol, body.model ?? ""));
    const { host, port = 80, tls = false } = body;
    Object.assign(made, { location: body.location ?? "", tags: body.tags ?? [] });
    Object.assign(made.address, { host, port, tls, has_secret: Boolean(body.secret) });
    this.world.printers.push(made);
    this.world.seen = this.world.seen.map((each) =>
      each.host === host ? { ...each, known: made.id } : each,
    );
    this.#count += 1;
    this.#send("changes", { count: this.#count, printers: { [made.id]: made } });
    return { status: 201, body: made };
  }

  #patch(printer: Printer, body: Body): Given {
    const wrong = unknown(body, CHANGE);
    if (wrong) return wrong;
    const { host, port, files_port, tls, serial_number, user, secret, forget_pin, ...rest } = body;
    void [secret, forget_pin];
    this.change(printer.id, (each) => {
      const address = { host, port, files_port, tls, serial_number, user };
      for (const [name, value] of Object.entries(address))
        if (value !== undefined) Object.assign(each.address, { [name]: value });
      Object.assign(each, rest);
      if (body.enabled !== undefined)
        each.health = { link: body.enabled ? "connecting" : "disabled", since_us: us(0), tries: 0 };
    });
    return { status: 200, body: printer };
  }

  #command(printer: Printer, command: Command): Given {
    const { state } = printer;
    if (!state || printer.health.link !== "online") return { ...bad("It is offline."), status: 409 };
    if (state.read_only) return { ...bad("Developer mode is off."), status: 403, code: "refused" };
    const edit = (work: (state: NonNullable<Printer["state"]>) => void) => {
      this.change(printer.id, (each) => each.state && work(each.state));
      return { status: 204 };
    };
    const set = (phase: "paused" | "printing", is: Job["state"]) => {
      const job = this.world.jobs.find(({ id }) => id === printer.job_id);
      if (job) job.state = is;
      edit((now) => (now.phase = phase));
      if (job) this.#send("job", job);
      return { status: 204 };
    };
    if (command === "pause") return set("paused", "paused");
    if (command === "resume") return set("printing", "printing");
    if (command === "clear")
      return edit((now) => {
        now.phase = "idle";
        delete now.job;
        delete now.faults;
      });
    if (command === "stop") {
      const { job_id } = printer;
      this.change(printer.id, (each) => {
        if (each.state) each.state.phase = "stopped";
        each.bed_clear = false;
        delete each.job_id;
      });
      this.#end(job_id, "cancelled", "Stopped here");
      return { status: 204 };
    }
    if ("start" in command) {
      const { path } = command.start;
      if (!this.world.files.some((each) => each.place === printer.id && each.path === path))
        return NONE;
      return this.#start(printer, path.replace(/^.*\//, ""), path);
    }
    if ("light" in command) return edit((now) => (now.light_on = command.light.on));
    if ("speed" in command) return edit((now) => (now.speed_percent = command.speed.percent));
    if ("gcode" in command) return { status: 204 };
    if ("skip_objects" in command)
      return edit((now) => {
        for (const each of now.job?.objects ?? [])
          if (command.skip_objects.ids.includes(each.id)) each.skipped = true;
      });
    if ("temperature" in command) {
      const { heater, target_c } = command.temperature;
      return edit(({ temperatures }) => {
        const heat = typeof heater === "string"
          ? temperatures[heater]
          : temperatures.hotends?.[heater.hotend];
        if (heat) heat.target_c = target_c;
      });
    }
    return bad("unknown command");
  }

  #start(printer: Printer, name: string, path: string): Given {
    this.#made += 1;
    const job: Job = {
      id: `job-new-${this.#made}`, printer_id: printer.id, printer: printer.title, name,
      state: "printing", started_us: us(0), paused_s: 0, progress_permille: 0, estimate_s: 2400,
      known_by: "", made_by: "kim", note: "",
    };
    this.world.jobs.unshift(job);
    this.world.events[job.id] = [{ time_us: job.started_us, what: "started", detail: "" }];
    this.change(printer.id, (each) => {
      each.job_id = job.id;
      each.bed_clear = false;
      if (!each.state) return;
      each.state.phase = "printing";
      each.state.job = {
        name, path, progress_percent: 0, elapsed_s: 0, remaining_s: 2400, layer: 1, layers: 120,
      };
    });
    this.#send("job", job);
    return { status: 204 };
  }

  #put(name: string, raw: Buffer): Given {
    if (!/\.(gcode|bgcode|3mf)$/.test(name))
      return { ...bad(`${name} is not a file that printers print.`), hint: "Slice it first: farhub takes .gcode, .bgcode and .3mf." };
    this.asked.push(`put ${name} ${raw.length}`);
    const known = this.world.files.find((each) => each.place === "library" && each.name === name);
    const made = known ?? newFile(name, "library", { bytes: raw.length, changed_us: us(0), created_us: us(0) });
    if (!known) this.world.files.push(made);
    this.tell("files", { place: "library" });
    return { status: 201, body: made };
  }

  #shop(method: string, [what, key, act]: string[], body: Body, query: URLSearchParams): Given {
    switch (what) {
      case "jobs":
        return this.#jobs(method, key, body, query);
      case "files":
        return this.#files(method, key, act, body, query);
      case "tags": {
        const all = this.world.files.flatMap(({ tags }) => tags);
        const tags = [...new Set(all)].sort();
        return { status: 200, body: tags.map((tag) => ({ tag, files: all.filter((t) => t === tag).length })) };
      }
      case "queue":
        return this.#queue(method, key, body, query);
      case "folders": {
        if (method === "GET") return { status: 200, body: this.world.folders };
        if (method === "DELETE") {
          this.world.folders = this.world.folders.filter(({ id }) => id !== key);
          return { status: 204 };
        }
        const wrong = unknown(body, ["path", "recursive"]);
        if (wrong) return wrong;
        if (!String(body.path).startsWith("/")) return bad("The path of a folder begins with /.");
        const folder = {
          id: `fol-${this.world.folders.length + 9}`, path: String(body.path),
          recursive: Boolean(body.recursive), enabled: true,
        };
        this.world.folders.push(folder);
        return { status: 201, body: folder };
      }
      case "channels":
        return this.#channels(method, key, act, body);
      default:
        return NONE;
    }
  }

  #jobs(method: string, key: string | undefined, body: Body, query: URLSearchParams): Given {
    const words = (query.get("search") ?? "").toLowerCase().split(/\s+/).filter(Boolean);
    const [printers, states] = [query.getAll("printer"), query.getAll("state")];
    const [from, to] = [Number(query.get("from_us") ?? 0), Number(query.get("to_us") ?? Infinity)];
    const inOther = this.world.jobs.filter(
      (job) =>
        (printers.length === 0 || printers.includes(job.printer_id)) &&
        job.started_us >= from && job.started_us <= to &&
        words.every((word) => `${job.name} ${job.printer} ${job.note}`.toLowerCase().includes(word)),
    ).sort((a, b) => b.started_us - a.started_us);
    const found = inOther.filter((job) => states.length === 0 || states.includes(job.state));
    if (key === "export") {
      const german = query.get("locale") === "de";
      if (query.get("format") === "json") return { status: 200, body: found };
      const cut = german ? ";" : ",";
      const rows = found.map((job) => [job.name, job.printer, job.state].join(cut));
      const text = `\ufeff${["name", "printer", "state"].join(cut)}\r\n${rows.join("\r\n")}\r\n`;
      return { status: 200, text, type: "text/csv; charset=utf-8" };
    }
    if (key === undefined) {
      const after = Number(query.get("after") ?? 0);
      const limit = Number(query.get("limit") ?? 50);
      const counts: Record<string, number> = {};
      for (const { state } of inOther) counts[state] = (counts[state] ?? 0) + 1;
      const next = after + limit < found.length ? { next: String(after + limit) } : {};
      return { status: 200, body: { jobs: found.slice(after, after + limit), total: found.length, counts, ...next } };
    }
    const job = this.world.jobs.find(({ id }) => id === key);
    if (!job) return NONE;
    if (method === "DELETE") {
      if (job.ended_us === undefined) return { ...bad("It is under way."), status: 409 };
      this.world.jobs = this.world.jobs.filter((each) => each !== job);
      return { status: 204 };
    }
    if (method === "PATCH") {
      const wrong = unknown(body, ["note"]);
      if (wrong) return wrong;
      job.note = String(body.note);
      this.#send("job", job);
      return { status: 200, body: job };
    }
    const events = this.world.events[job.id] ?? [
      { time_us: job.started_us, what: "started", detail: "" },
      { time_us: job.ended_us ?? us(0), what: job.state, detail: job.reason ?? "" },
    ];
    return { status: 200, body: { ...job, events } };
  }

  #files(method: string, key: string | undefined, act: string | undefined, body: Body, query: URLSearchParams): Given {
    const { world } = this;
    const page = (files: ShopFile[]): Given => {
      const [offset, limit] = [Number(query.get("offset") ?? 0), Number(query.get("limit") ?? 50)];
      return { status: 200, body: { files: files.slice(offset, offset + limit), total: files.length } };
    };
    if (key === undefined) {
      const words = (query.get("search") ?? "").toLowerCase().split(/\s+/).filter(Boolean);
      const has = (name: string, value: string) => (query.get(name) ?? value) === value;
      const found = world.files.filter(
        (each) =>
          has("place", each.place) && has("state", each.state) &&
          (query.get("tag") === null || each.tags.includes(query.get("tag") ?? "")) &&
          words.every((word) => `${each.name} ${each.note} ${each.meta?.materials ?? ""}`.toLowerCase().includes(word)),
      );
      const order = query.get("order") ?? "newest";
      found.sort((a, b) =>
        order === "name" ? a.name.localeCompare(b.name)
        : order === "size" ? (b.bytes ?? 0) - (a.bytes ?? 0)
        : (b.changed_us ?? 0) - (a.changed_us ?? 0));
      return page(found);
    }
    if (key === "old") {
      const [days, least] = [Number(query.get("days")), Number(query.get("bytes_min"))];
      // The world is young: its days are minutes.
      return page(world.files.filter((each) => each.hash && (each.bytes ?? 0) >= least && each.created_us < us(days)));
    }
    if (key === "clean") {
      const ids = body.ids as string[];
      const gone = world.files.filter(({ id }) => ids.includes(id));
      world.files = world.files.filter((each) => !gone.includes(each));
      const bytes = gone.reduce((sum, each) => sum + (each.bytes ?? 0), 0);
      return { status: 200, body: { removed: gone.length, bytes } };
    }
    const file = world.files.find(({ id }) => id === key);
    if (!file) return NONE;
    if (method !== "GET") this.asked.push(`${act ?? method} ${file.name} ${JSON.stringify(body)}`);
    if (method === "PATCH") {
      const wrong = unknown(body, ["tags", "note"]);
      if (wrong) return wrong;
      Object.assign(file, body);
      return { status: 200, body: file };
    }
    if (method === "DELETE") {
      if (query.get("from_printer") === "true" || file.place === "library")
        world.files = world.files.filter((each) => each !== file);
      else {
        delete file.hash;
        file.state = "available";
      }
      return { status: 204 };
    }
    switch (act) {
      case "download":
        this.#download(file);
        return { status: 202, body: file };
      case "cancel":
        file.state = "available";
        this.change(file.place, (printer) => delete printer.transfer);
        return { status: 204 };
      case "send":
        return this.#sendFile(file, body);
      case "content":
        return { status: 200, text: "G28\nG1 X10\n", type: "application/octet-stream" };
      default:
        return { status: 200, body: file };
    }
  }

  #download(file: ShopFile): void {
    const bytes_total = file.bytes ?? 1;
    file.state = "downloading";
    const step = (part: number) => {
      if (file.state !== "downloading") return;
      if (part > 4) {
        Object.assign(file, { state: "downloaded", hash: "cd".repeat(32) });
        this.change(file.place, (printer) => delete printer.transfer);
        return this.tell("files", { place: file.place });
      }
      this.change(file.place, (printer) => {
        printer.transfer = {
          file_id: file.id, name: file.name, direction: "from_printer",
          bytes: Math.round((bytes_total * part) / 5), bytes_total,
        };
      });
      this.#later(() => step(part + 1));
    };
    step(1);
  }

  #sendFile(file: ShopFile, body: Body): Given {
    const wrong = unknown(body, ["printer", "start", "options"]);
    if (wrong) return wrong;
    const printer = this.world.printers.find(({ id, name }) => id === body.printer || name === body.printer);
    if (!printer) return NONE;
    const bytes_total = file.bytes ?? 1;
    const step = (part: number) => {
      if (part > 4) {
        this.world.files.push(newFile(file.name, printer.id, {
          state: "downloaded", hash: file.hash ?? "", bytes: bytes_total, changed_us: us(0),
        }));
        this.change(printer.id, (each) => delete each.transfer);
        this.tell("files", { place: printer.id });
        if (body.start) this.#start(printer, file.name, `/${file.name}`);
        return;
      }
      this.change(printer.id, (each) => {
        each.transfer = {
          file_id: file.id, name: file.name, direction: "to_printer",
          bytes: Math.round((bytes_total * part) / 5), bytes_total,
        };
      });
      this.#later(() => step(part + 1));
    };
    step(1);
    return { status: 202 };
  }

  #queue(method: string, key: string | undefined, body: Body, query: URLSearchParams): Given {
    const { world } = this;
    if (method === "GET") {
      const over = query.get("over") === "true";
      return { status: 200, body: world.queue.filter(({ state }) => over || state === "waiting") };
    }
    this.asked.push(`queue ${method} ${key ?? ""} ${JSON.stringify(body)}`);
    if (method === "POST") {
      const wrong = unknown(body, NEW_ITEM);
      if (wrong) return wrong;
      const file = world.files.find(({ id }) => id === body.file_id);
      if (!file?.hash) return bad("The content of that file is not here.");
      this.#made += 1;
      const item = {
        targets: { printers: [], tags: [] }, needs: {}, options: { path: "" }, copies: 1,
        priority: 0, held: false, note: "", ...body, id: `que-new-${this.#made}`, hash: file.hash,
        file_name: file.name, title: body.title ?? file.name, done: 0, state: "waiting",
        made_by: "kim", created_us: us(0), runs: [],
      } as unknown as QueueItem;
      world.queue.push(item);
      this.tell("queue");
      return { status: 201, body: item };
    }
    const item = world.queue.find(({ id }) => id === key);
    if (!item) return NONE;
    if (method === "DELETE") {
      item.state = "cancelled";
      this.tell("queue");
      return { status: 204 };
    }
    const wrong = unknown(body, QUEUE_CHANGE);
    if (wrong) return wrong;
    const { before, ...rest } = body;
    Object.assign(item, rest);
    if (before !== undefined) {
      const others = world.queue.filter((each) => each !== item);
      others.splice(others.findIndex(({ id }) => id === before), 0, item);
      world.queue = others;
    }
    this.tell("queue");
    return { status: 200, body: item };
  }

  #channels(method: string, key: string | undefined, act: string | undefined, body: Body): Given {
    const { world } = this;
    if (method === "GET") return { status: 200, body: world.channels };
    this.asked.push(`channel ${act ?? method} ${JSON.stringify(body)}`);
    const found = world.channels.find(({ id }) => id === key);
    if (act === "test") {
      if (!found) return NONE;
      found.last_us = us(0);
      return { status: 204 };
    }
    if (method === "DELETE") {
      world.channels = world.channels.filter((each) => each !== found);
      return { status: 204 };
    }
    const wrong = unknown(body, ["name", "events", "enabled", "way"]);
    if (wrong) return wrong;
    const [kind] = Object.keys((body.way ?? {}) as object);
    const { name, events, enabled = true } = body as { name: string; events: []; enabled?: boolean };
    if (found) Object.assign(found, { name, events, enabled });
    else if (kind === undefined) return bad("Where is it to go?");
    else {
      const fresh = { id: `cha-${world.channels.length + 7}`, name, events, enabled, kind, shown: `${kind}: …` };
      world.channels.push(fresh as ShopWorld["channels"][number]);
    }
    return { status: found ? 200 : 201, body: found ?? world.channels.at(-1) };
  }
}

const NEW_PRINTER = [
  "title", "name", "protocol", "host", "port", "files_port", "tls", "serial_number", "user",
  "secret", "pin", "model", "location", "tags", "settings",
];
const CHANGE = [
  "title", "host", "port", "files_port", "tls", "serial_number", "user", "secret", "forget_pin",
  "model", "location", "tags", "enabled", "settings",
];
const NEW_ITEM = [
  "file_id", "title", "targets", "needs", "options", "copies", "priority", "due_us", "held", "note",
];
const QUEUE_CHANGE = [
  "title", "targets", "needs", "copies", "priority", "due_us", "held", "before", "note",
];

function unknown(body: object, known: string[]): Fault | null {
  const other = Object.keys(body).find((key) => !known.includes(key));
  return other === undefined ? null : bad(`unknown field ${other}`);
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
