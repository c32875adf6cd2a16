/** Runs tests one after the other, in one browser, and says how each went. */
import assert from "node:assert/strict";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { launch, visit } from "./browser";

type Named = { name: string; options?: BrowserContextOptions };

export async function runAll<C extends Named>(
  cases: C[],
  go: (browser: Browser, each: C) => Promise<void>,
): Promise<void> {
  const browser = await launch();
  let failed = 0;
  for (const each of cases) {
    const start = performance.now();
    const trouble = await go(browser, each).then(
      () => null,
      (error: unknown) => (error instanceof Error ? error.message : String(error)),
    );
    if (trouble !== null) failed += 1;
    const ms = Math.round(performance.now() - start);
    console.log(`${trouble === null ? "ok" : "FAIL"}  ${each.name} (${ms} ms)`);
    if (trouble !== null) console.log(trouble.replace(/^/gm, "      "));
  }
  await browser.close();
  console.log(`${cases.length - failed} passed, ${failed} failed`);
  process.exitCode = failed > 0 ? 1 : 0;
}

/** One look at a page: what it says in its console is a failure. */
export async function look(
  browser: Browser,
  url: string,
  options: BrowserContextOptions,
  work: (page: Page) => Promise<void>,
): Promise<void> {
  const seen = await visit(browser, url, options);
  try {
    await work(seen.page);
    assert.deepEqual(seen.complaints, [], "the browser's console");
  } finally {
    await seen.close();
  }
}

export const live = (page: Page) => page.locator("[data-link=live]").waitFor();
