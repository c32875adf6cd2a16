/**
 * The page in a real browser. Against the mock hub by default; with FARHUB_URL, those tests that
 * any hub with at least one device passes (`farhub up --demo` is one). One that asks for a login
 * gets FARHUB_PASSWORD.
 */
import type { Browser } from "playwright-core";
import { access } from "./access";
import { anywhere } from "./anywhere";
import { enter, stateOf, type AnyCase, type MockCase } from "./case";
import { login } from "./login";
import { machine } from "./machine";
import { machineSafety } from "./machine_safety";
import { Mock } from "./mock";
import { mocked } from "./mocked";
import { live, look, runAll } from "./runner";
import { shop } from "./shop";
import { nothing, world } from "./world";

type Case = AnyCase | MockCase;
const tests: Case[] = [
  ...anywhere, ...mocked, ...access, ...login, ...machineSafety, ...machine, ...shop,
];

export async function main(): Promise<void> {
  const real = process.env.FARHUB_URL;
  const wanted = process.argv[3] ?? "";
  const chosen = tests.filter((each) => (!real || "any" in each) && each.name.includes(wanted));
  const left = tests.length - chosen.length;
  if (left > 0)
    console.log(`${left} not run: ${real ? "they need the mock hub" : "not asked for"}`);
  await runAll(chosen, (browser, each) =>
    real ? onReal(browser, each, real) : onMock(browser, each),
  );
}

// A certificate that a hub made for itself is known to nobody.
const lenient = { ignoreHTTPSErrors: true };

async function onReal(browser: Browser, test: Case, url: string): Promise<void> {
  if (!("any" in test)) throw new Error("it needs the mock hub");
  await look(browser, url, { ...lenient, ...test.options }, async (page) => {
    if (process.env.FARHUB_PASSWORD) await enter(page, process.env.FARHUB_PASSWORD);
    await live(page);
    await test.any(page, { url, state: stateOf(page) });
  });
}

async function onMock(browser: Browser, test: Case): Promise<void> {
  const mock = new Mock("empty" in test && test.empty ? nothing() : world());
  const password = "password" in test ? test.password : undefined;
  mock.password = password ?? null;
  await mock.up();
  try {
    await look(browser, mock.url, { ...lenient, ...test.options }, async (page) => {
      if (password === undefined) await live(page);
      if ("any" in test) await test.any(page, { url: mock.url, state: stateOf(page) });
      else await test.mock(page, mock);
    });
  } finally {
    await mock.down();
  }
}
