/** The files of a mock hub, in its library and on its printers. */
import type { ShopFile } from "../src/shop/api";
import { bad, NONE, unknown, type Body, type Given } from "./mock_answer";
import { startPrint } from "./mock_printers";
import type { Shop } from "./mock_shop";
import { file as newFile, us } from "./shop_world";

export function put(shop: Shop, name: string, raw: Buffer): Given {
  if (!/\.(gcode|bgcode|3mf)$/.test(name))
    return {
      ...bad(`${name} is not a file that printers print.`),
      hint: "Slice it first: farhub takes .gcode, .bgcode and .3mf.",
    };
  shop.asked.push(`put ${name} ${raw.length}`);
  const known = shop.world.files.find((each) => each.place === "library" && each.name === name);
  const now = { changed_us: us(0), created_us: us(0) };
  const made = known ?? newFile(name, "library", { bytes: raw.length, ...now });
  if (!known) shop.world.files.push(made);
  shop.tell("files", { place: "library" });
  return { status: 201, body: made };
}

export function files(
  shop: Shop,
  method: string,
  key: string | undefined,
  act: string | undefined,
  body: Body,
  query: URLSearchParams,
): Given {
  const { world } = shop;
  const page = (files: ShopFile[]): Given => {
    const [offset, limit] = [Number(query.get("offset") ?? 0), Number(query.get("limit") ?? 50)];
    const body = { files: files.slice(offset, offset + limit), total: files.length };
    return { status: 200, body };
  };
  if (key === undefined) {
    const words = (query.get("search") ?? "").toLowerCase().split(/\s+/).filter(Boolean);
    const text = ({ name, note, meta }: ShopFile) =>
      `${name} ${note} ${meta?.materials ?? ""}`.toLowerCase();
    const has = (name: string, value: string) => (query.get(name) ?? value) === value;
    const found = world.files.filter(
      (each) =>
        has("place", each.place) && has("state", each.state) &&
        (query.get("tag") === null || each.tags.includes(query.get("tag") ?? "")) &&
        words.every((word) => text(each).includes(word)),
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
    return page(
      world.files.filter(
        ({ hash, bytes, created_us }) => hash && (bytes ?? 0) >= least && created_us < us(days),
      ),
    );
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
  if (method !== "GET") shop.asked.push(`${act ?? method} ${file.name} ${JSON.stringify(body)}`);
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
      download(shop, file);
      return { status: 202, body: file };
    case "cancel":
      file.state = "available";
      shop.change(file.place, (printer) => delete printer.transfer);
      return { status: 204 };
    case "send":
      return sendFile(shop, file, body);
    case "content":
      return { status: 200, text: "G28\nG1 X10\n", type: "application/octet-stream" };
    default:
      return { status: 200, body: file };
  }
}

function download(shop: Shop, file: ShopFile): void {
  const bytes_total = file.bytes ?? 1;
  file.state = "downloading";
  const step = (part: number) => {
    if (file.state !== "downloading") return;
    if (part > 4) {
      Object.assign(file, { state: "downloaded", hash: "cd".repeat(32) });
      shop.change(file.place, (printer) => delete printer.transfer);
      return shop.tell("files", { place: file.place });
    }
    shop.change(file.place, (printer) => {
      printer.transfer = {
        file_id: file.id, name: file.name, direction: "from_printer",
        bytes: Math.round((bytes_total * part) / 5), bytes_total,
      };
    });
    shop.later(() => step(part + 1));
  };
  step(1);
}

function sendFile(shop: Shop, file: ShopFile, body: Body): Given {
  const wrong = unknown(body, ["printer", "start", "options"]);
  if (wrong) return wrong;
  const printer = shop.world.printers.find(
    ({ id, name }) => id === body.printer || name === body.printer,
  );
  if (!printer) return NONE;
  const bytes_total = file.bytes ?? 1;
  const step = (part: number) => {
    if (part > 4) {
      shop.world.files.push(newFile(file.name, printer.id, {
        state: "downloaded", hash: file.hash ?? "", bytes: bytes_total, changed_us: us(0),
      }));
      shop.change(printer.id, (each) => delete each.transfer);
      shop.tell("files", { place: printer.id });
      if (body.start) startPrint(shop, printer, file.name, `/${file.name}`);
      return;
    }
    shop.change(printer.id, (each) => {
      each.transfer = {
        file_id: file.id, name: file.name, direction: "to_printer",
        bytes: Math.round((bytes_total * part) / 5), bytes_total,
      };
    });
    shop.later(() => step(part + 1));
  };
  step(1);
  return { status: 202 };
}

export function tags({ world }: Shop): { tag: string; files: number }[] {
  const all = world.files.flatMap((each) => each.tags);
  const files = (tag: string) => all.filter((each) => each === tag).length;
  return [...new Set(all)].sort().map((tag) => ({ tag, files: files(tag) }));
}
