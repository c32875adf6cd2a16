/** The history and the queue of a mock hub. */
import type { QueueItem } from "../src/shop/api";
import { bad, NONE, unknown, type Body, type Given } from "./mock_answer";
import type { Shop } from "./mock_shop";
import { us } from "./shop_world";

export function jobs(
  shop: Shop,
  method: string,
  key: string | undefined,
  body: Body,
  query: URLSearchParams,
): Given {
  const words = (query.get("search") ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  const [printers, states] = [query.getAll("printer"), query.getAll("state")];
  const [from, to] = [Number(query.get("from_us") ?? 0), Number(query.get("to_us") ?? Infinity)];
  const inOther = shop.world.jobs.filter(
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
    const some = found.slice(after, after + limit);
    return { status: 200, body: { jobs: some, total: found.length, counts, ...next } };
  }
  const job = shop.world.jobs.find(({ id }) => id === key);
  if (!job) return NONE;
  if (method === "DELETE") {
    if (job.ended_us === undefined) return { ...bad("It is under way."), status: 409 };
    shop.world.jobs = shop.world.jobs.filter((each) => each !== job);
    return { status: 204 };
  }
  if (method === "PATCH") {
    const wrong = unknown(body, ["note"]);
    if (wrong) return wrong;
    job.note = String(body.note);
    shop.send("job", job);
    return { status: 200, body: job };
  }
  const events = shop.world.events[job.id] ?? [
    { time_us: job.started_us, what: "started", detail: "" },
    { time_us: job.ended_us ?? us(0), what: job.state, detail: job.reason ?? "" },
  ];
  return { status: 200, body: { ...job, events } };
}

export function queue(
  shop: Shop,
  method: string,
  key: string | undefined,
  body: Body,
  query: URLSearchParams,
): Given {
  const { world } = shop;
  if (method === "GET") {
    const over = query.get("over") === "true";
    return { status: 200, body: world.queue.filter(({ state }) => over || state === "waiting") };
  }
  shop.asked.push(`queue ${method} ${key ?? ""} ${JSON.stringify(body)}`);
  if (method === "POST") {
    const wrong = unknown(body, NEW_ITEM);
    if (wrong) return wrong;
    const file = world.files.find(({ id }) => id === body.file_id);
    if (!file?.hash) return bad("The content of that file is not here.");
    shop.made += 1;
    const item = {
      targets: { printers: [], tags: [] }, needs: {}, options: { path: "" }, copies: 1,
      priority: 0, held: false, note: "", ...body, id: `que-new-${shop.made}`, hash: file.hash,
      file_name: file.name, title: body.title ?? file.name, done: 0, state: "waiting",
      made_by: "kim", created_us: us(0), runs: [],
    } as unknown as QueueItem;
    world.queue.push(item);
    shop.tell("queue");
    return { status: 201, body: item };
  }
  const item = world.queue.find(({ id }) => id === key);
  if (!item) return NONE;
  if (method === "DELETE") {
    item.state = "cancelled";
    shop.tell("queue");
    return { status: 204 };
  }
  const wrong = unknown(body, QUEUE_CHANGE);
  if (wrong) return wrong;
  const { before, ...rest } = body;
  Object.assign(item, rest);
  if (rest.due_us === null) delete item.due_us;
  if (before !== undefined) {
    const others = world.queue.filter((each) => each !== item);
    others.splice(others.findIndex(({ id }) => id === before), 0, item);
    world.queue = others;
  }
  shop.tell("queue");
  return { status: 200, body: item };
}

const NEW_ITEM = [
  "file_id", "title", "targets", "needs", "options", "copies", "priority", "due_us", "held", "note",
];
const QUEUE_CHANGE = [
  "title", "targets", "needs", "copies", "priority", "due_us", "held", "before", "note",
];
