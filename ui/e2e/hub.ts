/**
 * The page in a real browser, against a real hub: `FARHUB_BIN up --demo`, with the simulated
 * printers of two hubs on the real wire. One hub for all of these tests.
 */
import type { Browser } from "playwright-core";
import { anywhere } from "./anywhere";
import { stateOf, type AnyCase, type HubCase } from "./case";
import { hubShop } from "./hub_shop";
import { RealHub } from "./real_hub";
import { live, look, runAll } from "./runner";

const tests: (AnyCase | HubCase)[] = [...anywhere, ...hubShop];

export async function main(): Promise<void> {
  const program = process.env.FARHUB_BIN;
  if (!program) throw new Error("FARHUB_BIN: which program is the hub?");
  const wanted = process.argv[3] ?? "";
  const chosen = tests.filter(({ name }) => name.includes(wanted));
  const hub = await RealHub.start(program);
  const go = (browser: Browser, test: AnyCase | HubCase) =>
    look(browser, hub.url, test.options ?? {}, async (page) => {
      await live(page);
      if ("any" in test) return test.any(page, { url: hub.url, state: stateOf(page) });
      page.setDefaultTimeout(PATIENCE_MS);
      await test.hub(page, hub);
    });
  try {
    await runAll(chosen, go);
  } finally {
    await hub.stop();
  }
}

/** The hub, its printers and the browser share what else the computer has to do. */
const PATIENCE_MS = 60_000;
