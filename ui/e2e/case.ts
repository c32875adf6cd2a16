/** What a test of the page is, and how tests find things on it. */
import type { BrowserContextOptions, Page } from "playwright-core";
import type { State } from "../src/api";
import type { Mock } from "./mock";
import type { RealHub } from "./real_hub";

export type Hub = { url: string; state: () => Promise<State> };

type Named = { name: string; options?: BrowserContextOptions };
/** Passes on any hub that has a device. */
export type AnyCase = Named & { any: (page: Page, hub: Hub) => Promise<void> };
/** Needs things to happen that only the mock hub can be told to do. */
export type MockCase = Named & {
  mock: (page: Page, mock: Mock) => Promise<void>;
  empty?: boolean;
  /** The hub asks for it before anything else. */
  password?: string;
};
/** Needs what `--demo` simulates on the wire. */
export type HubCase = Named & { hub: (page: Page, hub: RealHub) => Promise<void> };

/** What the hub says of itself to that page. */
export const stateOf = (page: Page) => () =>
  page.evaluate(async () => (await (await fetch("/api/v1/state")).json()) as State);

export const row = (page: Page, address: string) => page.locator(`[data-device="${address}"]`);
export const button = (page: Page, name: string) => page.getByRole("button", { name, exact: true });
/** Logs in, in any language. */
export async function enter(page: Page, password: string): Promise<void> {
  await page.locator("input[type=password]").fill(password);
  await page.keyboard.press("Enter");
}
export const attach = (page: Page, address: string) =>
  row(page, address).getByRole("button", { name: "Attach", exact: true });
