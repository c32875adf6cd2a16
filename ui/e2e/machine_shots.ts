/** Pictures of the pages of machines. */
import type { Page } from "playwright-core";
import type { Mock } from "./mock";
import type { Shot } from "./shots";

const dark = { colorScheme: "dark" as const };
const german = { locale: "de-DE" };
const phone = {
  viewport: { width: 390, height: 844 },
  deviceScaleFactor: 2,
  hasTouch: true,
  isMobile: true,
};

const LASER = "desk/engraver";

export async function open(page: Page, address = LASER): Promise<void> {
  await page.evaluate((to) => (location.hash = `#/machine/${to}`), address);
  await page.locator("main[data-link=live]").waitFor();
}

/** In the middle of a job, with everything switched on. */
function running(mock: Mock): void {
  mock.machines.say(LASER, "$130=400.000\r\n$131=400.000\r\n$132=50.000\r\nok\r\n");
  mock.machines.change(LASER, ({ state }) => {
    state.arming = { armed: { left_s: 84, by: "desk" } };
    state.beam_may_be_on = true;
    if (!state.status) return;
    Object.assign(state.status, {
      state: "run",
      work: [104.25, 42.6, 0],
      machine: [-195.75, -307.4, -5],
      feed: 2980,
      spindle: 640,
      free: { blocks: 3, bytes: 31 },
      overrides: { feed: 110, rapid: 100, spindle: 85 },
    });
  });
  mock.machines.run(LASER, 4, 850);
}

const start = async (page: Page, mock: Mock) => {
  await open(page);
  running(mock);
  await page.locator("[data-preview]:not([data-preview=none])").waitFor();
  await page.locator("[data-state=running]").waitFor();
};

const idle = async (page: Page) => {
  await open(page);
  await page.getByRole("textbox", { name: /Line to send|Zeile zum Senden/ }).fill("$$");
  await page.keyboard.press("Enter");
  await page.getByText("$132=50.000").waitFor();
};

export const machineShots: Shot[] = [
  { name: "machine-light", full: true, go: start },
  { name: "machine-dark", full: true, options: dark, go: start },
  { name: "machine-idle", full: true, go: idle },
  { name: "machine-german-dark", full: true, options: { ...dark, ...german }, go: idle },
  { name: "machine-phone", options: phone, go: start },
  { name: "machine-phone-whole", full: true, options: phone, go: start },
  {
    name: "machine-phone-dark-german",
    full: true,
    options: { ...phone, ...dark, ...german },
    go: idle,
  },
  {
    name: "machine-stopped",
    go: async (page, mock) => {
      await start(page, mock);
      await page.keyboard.press("Escape");
      await page.locator("[data-stop=good]").waitFor();
    },
  },
  {
    name: "machine-not-confirmed",
    options: dark,
    go: async (page, mock) => {
      await start(page, mock);
      mock.machines.deaf = true;
      await page.keyboard.press("Escape");
      await page.locator("[data-stop=bad]").waitFor();
    },
  },
  {
    name: "machine-not-confirmed-phone",
    options: { ...phone, ...german },
    go: async (page, mock) => {
      await start(page, mock);
      mock.machines.deaf = true;
      await page.getByRole("button", { name: "STOP engraver" }).tap();
      await page.locator("[data-stop=bad]").waitFor();
    },
  },
  {
    name: "machine-stale",
    go: async (page, mock) => {
      await start(page, mock);
      mock.machines.silent = true;
      await page.locator("[data-news=hub]").waitFor();
    },
  },
  {
    name: "machine-watch",
    go: async (page, mock) => {
      mock.machines.change("garage/printer-board", (machine) => (machine.role = "view"));
      await open(page, "garage/printer-board");
      await page.getByText("199").first().waitFor();
    },
  },
  {
    name: "machine-settings",
    full: true,
    go: async (page) => {
      await open(page);
      await page.getByText("Profile, port").click();
    },
  },
  {
    name: "machine-findings",
    go: async (page) => {
      await open(page);
      await page.getByRole("button", { name: /too-wide/ }).click();
    },
  },
  {
    name: "stop-all",
    go: async (page) => {
      await page.getByRole("button", { name: "STOP all machines" }).click();
      await page.locator("[data-stop=good]").first().waitFor();
    },
  },
  {
    name: "machine-attached",
    go: async (page) => {
      const row = page.locator('[data-device="garage/printer-board"]');
      await row.getByRole("button", { name: /More ways/ }).click();
      await page.getByRole("menuitem", { name: /RFC 2217/ }).click();
      await page.getByRole("dialog").getByRole("button", { name: "Attach" }).click();
      await row.getByText("127.0.0.1:2217").waitFor();
      await row.scrollIntoViewIfNeeded();
    },
  },
];
