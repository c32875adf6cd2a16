/** What the tests of the print shop share. */
import type { Page } from "playwright-core";
import type { Mock } from "./mock";
import { idle, printer, printing } from "./shop_world";

export const card = (page: Page, name: string) => page.locator(`[data-printer="${name}"]`);
export const asked = (mock: Mock, start: string) =>
  mock.shop.asked.filter((each) => each.startsWith(start));

export async function visit(page: Page, hash: string): Promise<void> {
  await page.evaluate((to) => (location.hash = to), hash);
}

/** So many printers, printing and ready, before the page has looked. */
export function many(mock: Mock, count: number): void {
  const models = ["A1", "P1S", "X1C", "A1 mini"];
  const all = Array.from({ length: count }, (_, i) => {
    const model = models[i % models.length] ?? "A1";
    const state = i % 5 === 0
      ? idle("bambu", model)
      : printing("bambu", model, `part-${i}.3mf`, (i * 37) % 100);
    if (i % 41 === 7) state.phase = "paused";
    return printer(`Farm ${String(i + 1).padStart(3, "0")}`, "bambu", model, state, {
      tags: [i % 2 === 0 ? "left wall" : "right wall"],
      location: `Row ${Math.floor(i / 25) + 1}`,
    });
  });
  const { world } = mock.shop;
  world.printers = [...world.printers, ...all];
  mock.shop.again();
}
