/** The printers of a mock hub: added, changed, told what to do. */
import type { Command, Job, NewPrinter, Printer } from "../src/shop/api";
import { bad, NONE, unknown, type Body, type Given } from "./mock_answer";
import type { Shop } from "./mock_shop";
import { idle, printer as newPrinter, us } from "./shop_world";

export function printers(shop: Shop, method: string, [key, what]: string[], body: Body): Given {
  const { world } = shop;
  if (key === undefined) {
    if (method === "GET") return { status: 200, body: world.printers };
    return add(shop, body as NewPrinter);
  }
  if (key === "seen") return { status: 200, body: world.seen };
  if (key === "test") {
    const wrong = unknown(body, NEW_PRINTER);
    if (wrong) return wrong;
    shop.asked.push(`test ${JSON.stringify(body)}`);
    const good = {
      problem: null, identity: { model: "X1 Carbon", firmware: "01.08.00", nozzles_um: [400] },
      pin: "9f".repeat(32), read_only: null,
    };
    return { status: 200, body: shop.probe ?? good };
  }
  const printer = world.printers.find(({ id, name }) => id === key || name === key);
  if (!printer) return NONE;
  if (method === "GET") return { status: 200, body: printer };
  shop.asked.push(`${what ?? method} ${printer.id} ${JSON.stringify(body.command ?? body)}`);
  if (method === "DELETE") {
    world.printers = world.printers.filter((each) => each !== printer);
    shop.count += 1;
    shop.send("changes", { count: shop.count, printers: { [printer.id]: null } });
    return { status: 204 };
  }
  if (method === "PATCH") return patch(shop, printer, body);
  switch (what) {
    case "command":
      return command(shop, printer, body.command as Command);
    case "bed-clear":
      shop.change(printer.id, (each) => (each.bed_clear = true));
      return { status: 200, body: printer };
    case "retry":
      shop.change(printer.id, ({ health }) => Object.assign(health, { link: "connecting" }));
      return { status: 204 };
    case "files":
      shop.tell("files", { place: printer.id });
      return { status: 204 };
    default:
      return NONE;
  }
}

function add(shop: Shop, body: NewPrinter): Given {
  const wrong = unknown(body, NEW_PRINTER);
  if (wrong) return wrong;
  shop.asked.push(`add ${JSON.stringify(body)}`);
  const title = body.title ?? body.model ?? body.protocol;
  const { protocol, model = "" } = body;
  const made = newPrinter(title, protocol, model, idle(protocol, model));
  const { host, port = 80, tls = false } = body;
  Object.assign(made, { location: body.location ?? "", tags: body.tags ?? [] });
  Object.assign(made.address, { host, port, tls, has_secret: Boolean(body.secret) });
  shop.world.printers.push(made);
  shop.world.seen = shop.world.seen.map((each) =>
    each.host === host ? { ...each, known: made.id } : each,
  );
  shop.count += 1;
  shop.send("changes", { count: shop.count, printers: { [made.id]: made } });
  return { status: 201, body: made };
}

function patch(shop: Shop, printer: Printer, body: Body): Given {
  const wrong = unknown(body, CHANGE);
  if (wrong) return wrong;
  const { host, port, files_port, tls, serial_number, user, secret, forget_pin, ...rest } = body;
  void [secret, forget_pin];
  shop.change(printer.id, (each) => {
    const address = { host, port, files_port, tls, serial_number, user };
    for (const [name, value] of Object.entries(address))
      if (value !== undefined) Object.assign(each.address, { [name]: value });
    Object.assign(each, rest);
    if (body.enabled !== undefined)
      each.health = { link: body.enabled ? "connecting" : "disabled", since_us: us(0), tries: 0 };
  });
  return { status: 200, body: printer };
}

function command(shop: Shop, printer: Printer, command: Command): Given {
  const { state } = printer;
  if (!state || printer.health.link !== "online") return { ...bad("It is offline."), status: 409 };
  if (state.read_only) return { ...bad("Developer mode is off."), status: 403, code: "refused" };
  const edit = (work: (state: NonNullable<Printer["state"]>) => void) => {
    shop.change(printer.id, (each) => each.state && work(each.state));
    return { status: 204 };
  };
  const set = (phase: "paused" | "printing", is: Job["state"]) => {
    const job = shop.world.jobs.find(({ id }) => id === printer.job_id);
    if (job) job.state = is;
    edit((now) => (now.phase = phase));
    if (job) shop.send("job", job);
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
    shop.change(printer.id, (each) => {
      if (each.state) each.state.phase = "stopped";
      each.bed_clear = false;
      delete each.job_id;
    });
    shop.end(job_id, "cancelled", "Stopped here");
    return { status: 204 };
  }
  if ("start" in command) {
    const { path } = command.start;
    if (!shop.world.files.some((each) => each.place === printer.id && each.path === path))
      return NONE;
    return startPrint(shop, printer, path.replace(/^.*\//, ""), path);
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

export function startPrint(shop: Shop, printer: Printer, name: string, path: string): Given {
  shop.made += 1;
  const job: Job = {
    id: `job-new-${shop.made}`, printer_id: printer.id, printer: printer.title, name,
    state: "printing", started_us: us(0), paused_s: 0, progress_permille: 0, estimate_s: 2400,
    known_by: "", made_by: "kim", note: "",
  };
  shop.world.jobs.unshift(job);
  shop.world.events[job.id] = [{ time_us: job.started_us, what: "started", detail: "" }];
  shop.change(printer.id, (each) => {
    each.job_id = job.id;
    each.bed_clear = false;
    if (!each.state) return;
    each.state.phase = "printing";
    each.state.job = {
      name, path, progress_percent: 0, elapsed_s: 0, remaining_s: 2400, layer: 1, layers: 120,
    };
  });
  shop.send("job", job);
  return { status: 204 };
}

const NEW_PRINTER = [
  "title", "name", "protocol", "host", "port", "files_port", "tls", "serial_number", "user",
  "secret", "pin", "model", "location", "tags", "settings",
];
const CHANGE = [
  "title", "host", "port", "files_port", "tls", "serial_number", "user", "secret", "forget_pin",
  "model", "location", "tags", "enabled", "settings",
];
