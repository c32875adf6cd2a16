/** Pictures of the page in its states, for people to look at: `npm run shots -- DIR`. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "playwright-core";
import type { State } from "../src/api";
import { launch, visit } from "./browser";
import { machineShots } from "./machine_shots";
import { Mock } from "./mock";
import { shopShots } from "./shop_shots";
import { nearby, pairing, nothing, world } from "./world";

export type Shot = {
  name: string;
  options?: object;
  full?: boolean;
  empty?: boolean;
  password?: string;
  go?: (page: Page, mock: Mock) => Promise<unknown>;
};

const row = (page: Page, address: string) => page.locator(`[data-device="${address}"]`);
const dark = { colorScheme: "dark" as const };
const phone = {
  viewport: { width: 390, height: 844 },
  deviceScaleFactor: 2,
  hasTouch: true,
  isMobile: true,
};

function locked(state: State) {
  state.attachments.push({
    address: "garage/laser",
    via: "vhci",
    state: "waiting",
    since: new Date().toISOString(),
    place: null,
    nodes: [],
    error: {
      message: "a PIN and the code of an authenticator app are needed",
      hint: "farhub attach garage/laser --pin --totp CODE",
    },
    factor: "pin_and_code",
  });
}

const shots: Shot[] = [
  { name: "light", full: true },
  { name: "dark", full: true, options: dark },
  { name: "german", full: true, options: { locale: "de-DE" } },
  { name: "phone", full: true, options: phone },
  { name: "phone-dark-german", full: true, options: { ...phone, ...dark, locale: "de-DE" } },
  { name: "tablet", full: true, options: { viewport: { width: 820, height: 1100 } } },
  { name: "empty", full: true, empty: true },
  {
    name: "menu",
    go: (page) =>
      row(page, "garage/laser")
        .getByRole("button", { name: /More ways/ })
        .click(),
  },
  {
    name: "details",
    full: true,
    go: async (page) => {
      await page.getByRole("button", { name: "Details of headset" }).click();
      await page.getByRole("button", { name: "Details of laser" }).click();
    },
  },
  {
    name: "attaching",
    full: true,
    go: async (page, mock) => {
      mock.hold = true;
      await row(page, "garage/laser").getByRole("button", { name: "Attach", exact: true }).click();
      await row(page, "garage/laser").getByText("Connecting").waitFor();
      mock.fail = {
        status: 403,
        code: "refused",
        message: "garage is not trusted with keyboards, and number-pad has a keyboard interface.",
        hint: "If you trust that computer with a keyboard here: farhub trust garage",
      };
      await row(page, "garage/number-pad")
        .getByRole("button", { name: "Attach", exact: true })
        .click();
      await page.getByRole("alert").first().waitFor();
      await row(page, "garage/photos")
        .getByRole("button", { name: /More ways/ })
        .click();
      await page.getByRole("menuitem", { name: /USB\/IP/ }).click();
      await page.getByText("usbip --tcp-port").waitFor();
    },
  },
  {
    name: "invite",
    go: async (page) => {
      await page.getByRole("button", { name: "Pair a hub" }).click();
      await page.getByRole("button", { name: "Create invitation" }).click();
      await page.getByRole("img", { name: /QR/ }).waitFor();
    },
  },
  {
    name: "invite-phone-dark",
    options: { ...phone, ...dark },
    go: async (page) => {
      await page.getByRole("button", { name: "Pair a hub" }).click();
      await page.getByRole("button", { name: "Create invitation" }).click();
      await page.getByRole("img", { name: /QR/ }).waitFor();
    },
  },
  ...[
    { name: "pairing", options: {} },
    { name: "pairing-dark-german", options: { ...dark, locale: "de-DE" } },
    { name: "pairing-phone", options: { ...phone, locale: "de-DE" } },
  ].map(({ name, options }) => ({
    name,
    options,
    full: true,
    go: async (page: Page, mock: Mock) => {
      mock.change((state) => {
        const doubt = "name_of_peer" as const;
        state.nearby.push(nearby("garage", "192.168.1.66:4000", { id: "bad0".repeat(16), doubt }));
        const shown = "189 869";
        const problem = {
          message: "the codes differ: it was mistyped, or somebody is in between",
          hint: "if you typed what the other screen shows, find out who is in between",
        };
        state.pairings = [
          pairing("workshop", { id: 1 }),
          pairing("shed", { id: 2, side: "asking", shown }),
          pairing("office", { id: 3, side: "asking", state: "check", shown }),
          pairing("attic", { id: 4, state: "check", shown: "20" }),
          pairing("cellar", { id: 5, state: "failed", problem }),
          pairing("barn", { id: 6, state: "paired", peer: "barn" }),
        ];
      });
      await page.locator("[data-pairing]").first().waitFor();
    },
  })),
  { name: "invite-form", go: (page) => page.getByRole("button", { name: "Pair a hub" }).click() },
  {
    name: "join-error",
    options: dark,
    go: async (page) => {
      await page.getByRole("button", { name: "Pair a hub" }).click();
      await page.getByRole("radio", { name: "Join" }).check();
      await page.getByRole("textbox", { name: "Ticket" }).fill("hello");
      await page.getByRole("button", { name: "Join", exact: true }).click();
      await page.getByRole("alert").waitFor();
    },
  },
  {
    name: "peer",
    go: async (page) => {
      await page.getByRole("button", { name: "Manage garage" }).click();
      await page.getByText("in use", { exact: true }).waitFor();
    },
  },
  {
    name: "peer-german-dark",
    options: { ...dark, locale: "de-DE" },
    go: async (page) => {
      await page.getByRole("button", { name: "garage verwalten" }).click();
      await page.getByText("benutzt", { exact: true }).waitFor();
    },
  },
  {
    name: "grant-terms",
    go: async (page) => {
      await page.getByRole("button", { name: "Manage garage" }).click();
      await page.getByRole("combobox", { name: "Devices" }).fill("headset");
      await page.getByText("Conditions").click();
      await page.getByRole("combobox", { name: "Hours" }).selectOption("Mon-Fri");
    },
  },
  {
    name: "grant-terms-phone-dark-german",
    options: { ...phone, ...dark, locale: "de-DE" },
    go: async (page) => {
      await page.getByRole("button", { name: "garage verwalten" }).click();
      await page.getByText("Bedingungen").click();
      await page.getByRole("combobox", { name: "Zeiten" }).selectOption("Mon-Fri");
      await page.getByText("Bedingungen").scrollIntoViewIfNeeded();
    },
  },
  {
    name: "totp",
    options: dark,
    go: async (page) => {
      await page.getByRole("button", { name: "Manage lab-berlin" }).click();
      await page.getByRole("combobox", { name: "Devices" }).fill("headset");
      await page.getByText("Conditions").click();
      await page.getByRole("checkbox").check();
      await page.getByRole("button", { name: "Grant", exact: true }).click();
      await page.getByRole("img", { name: /authenticator/ }).waitFor();
    },
  },
  {
    name: "unlock",
    go: async (page, mock) => {
      mock.change(locked);
      await row(page, "garage/laser").getByRole("button", { name: "Unlock" }).click();
      await page.getByRole("textbox", { name: "Code" }).waitFor();
    },
  },
  {
    name: "locked-phone-dark",
    full: true,
    options: { ...phone, ...dark },
    go: async (page, mock) => {
      mock.change(locked);
      await row(page, "garage/laser").getByRole("button", { name: "Unlock" }).waitFor();
    },
  },
  {
    name: "ask",
    options: { locale: "de-DE" },
    go: (page) =>
      row(page, "garage/laser")
        .getByRole("button", { name: /Weitere Wege/ })
        .click()
        .then(() => page.getByRole("menuitem", { name: /Darum/ }).click()),
  },
  {
    name: "audit",
    go: async (page) => {
      await page.getByRole("button", { name: "Log" }).click();
      await page.getByRole("button", { name: "Check the log" }).click();
      await page.getByText("was changed").waitFor();
    },
  },
  {
    name: "audit-phone-dark-german",
    options: { ...phone, ...dark, locale: "de-DE" },
    go: async (page) => {
      await page.getByRole("button", { name: "Protokoll" }).click();
      await page.getByRole("cell", { name: "session.start" }).first().waitFor();
    },
  },
  {
    name: "peer-relayed",
    options: { viewport: { width: 1000, height: 1300 } },
    go: async (page) => {
      await page.getByRole("button", { name: "Manage lab-berlin" }).click();
      await page.getByText("in use", { exact: true }).waitFor();
    },
  },
  {
    name: "peer-relayed-german-dark-phone",
    options: { ...phone, ...dark, locale: "de-DE", viewport: { width: 390, height: 1700 } },
    go: async (page) => {
      await page.getByRole("button", { name: "lab-berlin verwalten" }).click();
      await page.getByText("benutzt", { exact: true }).waitFor();
    },
  },
  {
    name: "peer-offline",
    options: { viewport: { width: 1000, height: 1100 } },
    go: async (page) => {
      await page.getByRole("button", { name: "Manage attic" }).click();
      await page.getByText("Is farhub running there").waitFor();
    },
  },
  {
    name: "frozen",
    full: true,
    go: async (page, mock) => {
      mock.freeze("lab-berlin");
      await page.getByText("Connection lost").waitFor();
    },
  },
  { name: "login", password: "x", go: (page) => page.getByLabel("Password").fill("correct") },
  {
    name: "login-wrong-dark-german",
    password: "x",
    options: { ...dark, locale: "de-DE" },
    go: async (page) => {
      await page.getByLabel("Passwort").fill("guess");
      await page.keyboard.press("Enter");
      await page.getByRole("alert").waitFor();
    },
  },
  {
    name: "login-wait-phone",
    password: "x",
    options: phone,
    go: async (page, mock) => {
      mock.wait_s = 95;
      await page.getByLabel("Password").fill("guess");
      await page.keyboard.press("Enter");
      await page.getByRole("alert").waitFor();
    },
  },
  {
    name: "logged-in-phone",
    password: "x",
    options: phone,
    go: async (page) => {
      await page.getByLabel("Password").fill("x");
      await page.keyboard.press("Enter");
      await page.locator("[data-link=live]").waitFor();
    },
  },
  {
    name: "confirm",
    go: (page) =>
      row(page, "desk/scratch-disk").getByRole("button", { name: "Stop sharing" }).click(),
  },
  {
    name: "rename-lost",
    full: true,
    go: async (page, mock) => {
      await page.getByRole("button", { name: "Rename headset" }).click();
      await mock.down();
      await page.getByText("The hub does not answer.").waitFor();
    },
  },
];

shots.push(...machineShots, ...shopShots);

export async function main(): Promise<void> {
  const dir = process.argv[3] ?? "test-results/shots";
  const only = process.argv.slice(4);
  mkdirSync(dir, { recursive: true });
  const browser = await launch();
  for (const shot of shots.filter((each) => only.length === 0 || only.includes(each.name))) {
    const mock = new Mock(
      shot.empty ? nothing() : world(),
    );
    mock.password = shot.password ?? null;
    await mock.up();
    const { page, complaints, close } = await visit(browser, mock.url, shot.options);
    if (!shot.password) await page.locator("[data-link=live]").waitFor();
    for (let second = 0; second < 40; second += 1) mock.rates(traffic(second));
    await shot.go?.(page, mock);
    await page.evaluate(() => new Promise((drawn) => setTimeout(drawn, 250)));
    if (shot.full) await page.evaluate(() => scrollTo(0, 0));
    await page.screenshot({ path: join(dir, `${shot.name}.png`), fullPage: shot.full ?? false });
    console.log(shot.name, ...complaints);
    await close();
    if (shot.name !== "rename-lost") await mock.down();
  }
  await browser.close();
}

function traffic(second: number) {
  const wave = (base: number, swing: number) =>
    Math.max(0, base + swing * Math.sin(second / 3) + (second % 7) * swing * 0.1);
  return {
    devices: [
      {
        address: "desk/scratch-disk",
        side: "serve" as const,
        in_bytes_per_s: wave(31e6, 9e6),
        out_bytes_per_s: wave(2e5, 1e5),
        urbs_per_s: 262,
        errors: 0,
      },
      {
        address: "lab-berlin/signing-card",
        side: "attach" as const,
        in_bytes_per_s: wave(900, 700),
        out_bytes_per_s: wave(400, 300),
        urbs_per_s: 14,
        errors: 2,
      },
    ],
  };
}
