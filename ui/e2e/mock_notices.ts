/** The ways of a mock hub to tell people, and the folders that it watches. */
import { bad, NONE, unknown, type Body, type Given } from "./mock_answer";
import type { Shop } from "./mock_shop";
import { us, type ShopWorld } from "./shop_world";

export function channels(
  shop: Shop,
  method: string,
  key: string | undefined,
  act: string | undefined,
  body: Body,
): Given {
  const { world } = shop;
  if (method === "GET") return { status: 200, body: world.channels };
  shop.asked.push(`channel ${act ?? method} ${JSON.stringify(body)}`);
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
    const id = `cha-${world.channels.length + 7}`;
    const fresh = { id, name, events, enabled, kind, shown: `${kind}: …` };
    world.channels.push(fresh as ShopWorld["channels"][number]);
  }
  return { status: found ? 200 : 201, body: found ?? world.channels.at(-1) };
}

export function folders(shop: Shop, method: string, key: string | undefined, body: Body): Given {
  const { world } = shop;
  if (method === "GET") return { status: 200, body: world.folders };
  if (method === "DELETE") {
    world.folders = world.folders.filter(({ id }) => id !== key);
    return { status: 204 };
  }
  const wrong = unknown(body, ["path", "recursive"]);
  if (wrong) return wrong;
  if (!String(body.path).startsWith("/")) return bad("The path of a folder begins with /.");
  const folder = {
    id: `fol-${world.folders.length + 9}`, path: String(body.path),
    recursive: Boolean(body.recursive), enabled: true,
  };
  world.folders.push(folder);
  return { status: 201, body: folder };
}
