/**
 * The page in a real browser. Against the mock hub by default; with FARHUB_URL, those tests that
 * any hub with at least one device passes (`farhub up --demo` is one). One that asks for a login
 * gets FARHUB_PASSWORD.
 */
import assert from "node:assert/strict";
import type { Browser } from "playwright-core";
import type { State } from "../src/api";
import { access } from "./access";
import { anywhere } from "./anywhere";
import { launch, visit, type Visit } from "./browser";
import { enter, type AnyCase, type MockCase } from "./case";
import { login } from "./login";
import { machine } from "./machine";
import { machineSafety } from "./machine_safety";
import { Mock } from "./mock";
import { mocked } from "./mocked";
import { shop } from "./shop";
import { nothing, world } from "./world";

type Case = AnyCase | MockCase;
const tests: Case[] = [...anywhere, ...mocked, ...access, ...login, ...machineSafety, ...machine, ...shop];

export async function main(): Promise<void> {
  const real = process.env.FARHUB_URL;
  const wanted = process.argv[3] ?? "";
  const chosen = tests.filter((each) => (!real || "any" in each) && each.name.includes(wanted));
  const browser = await launch();
  let failed = 0;
  for (const each of chosen) {
    const start = performance.now();
    const trouble = await run(browser, each, real);
    if (trouble) failed += 1;
    console.log(
      `${trouble ? "FAIL" : "ok"}  ${each.name} (${Math.round(performance.now() - start)} ms)`,
    );
    if (trouble) console.log(trouble.replace(/^/gm, "      "));
  }
  await browser.close();
  const left = tests.length - chosen.length;
  if (left > 0)
    console.log(`${left} not run: ${real ? "they need the mock hub" : "not asked for"}`);
  console.log(`${chosen.length - failed} passed, ${failed} failed`);
  process.exitCode = failed > 0 ? 1 : 0;
}

async function run(browser: Browser, test: Case, real: string | undefined): Promise<string | null> {
  const empty = "empty" in test && test.empty;
  const mock = new Mock(empty ? nothing() : world());
  let seen: Visit | null = null;
  try {
    const password = "password" in test ? test.password : undefined;
    mock.password = password ?? null;
    if (!real) await mock.up();
    const url = real ?? mock.url;
    // A certificate that a hub made for itself is known to nobody.
    seen = await visit(browser, url, { ignoreHTTPSErrors: true, ...test.options });
    const { page } = seen;
    if (real && process.env.FARHUB_PASSWORD) await enter(page, process.env.FARHUB_PASSWORD);
    if (password === undefined) await page.locator("[data-link=live]").waitFor();
    const state = () =>
      page.evaluate(async () => (await (await fetch("/api/v1/state")).json()) as State);
    if ("any" in test) await test.any(seen.page, { url, state });
    else await test.mock(seen.page, mock);
    assert.deepEqual(seen.complaints, [], "the browser's console");
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    await seen?.close();
    if (!real) await mock.down();
  }
}
