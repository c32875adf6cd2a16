/** What the tests of machines share. */
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { button } from "./case";
import type { Mock } from "./mock";

export const LASER = "desk/engraver";
export const BOARD = "garage/printer-board";

export const stop = (page: Page) => button(page, "STOP engraver");
export const axis = (page: Page, name: string) => page.locator(`[data-axis="${name}"]`);
export const asked = (mock: Mock, start: string) =>
  mock.machines.asked.filter((each) => each.startsWith(start));

/** Until it is so; the page's own time-out bounds it. */
export async function until(page: Page, is: () => boolean, what: string): Promise<void> {
  const end = Date.now() + 5000;
  while (!is()) {
    if (Date.now() > end) assert.fail(`${what} did not happen`);
    await page.evaluate(() => new Promise((done) => requestAnimationFrame(done)));
  }
}
