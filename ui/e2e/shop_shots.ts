/** Pictures of the print shop's pages. */
import type { Page } from "playwright-core";
import type { Mock } from "./mock";
import type { Shot } from "./shots";
import { many } from "./shop_case";

const dark = { colorScheme: "dark" as const };
const german = { locale: "de-DE" };
const phone = {
  viewport: { width: 390, height: 844 },
  deviceScaleFactor: 2,
  hasTouch: true,
  isMobile: true,
};

const to = async (page: Page, hash: string) => {
  await page.evaluate((next) => (location.hash = next), hash);
  await page.locator("main").waitFor();
};
const dashboard = async (page: Page) => {
  await to(page, "#/printers");
  await page.locator('[data-printer="garage-mini"]').waitFor();
};
const printer = (name = "a1-left") => async (page: Page) => {
  await to(page, `#/printer/desk/${name}`);
  await page.locator("main[data-phase], main[data-page]").waitFor();
};

export const shopShots: Shot[] = [
  { name: "shop-printers", full: true, go: dashboard },
  { name: "shop-printers-dark-german", full: true, options: { ...dark, ...german }, go: dashboard },
  { name: "shop-printers-phone", full: true, options: { ...phone, ...german }, go: dashboard },
  {
    name: "shop-wall",
    options: { viewport: { width: 1600, height: 900 } },
    go: async (page: Page, mock: Mock) => {
      many(mock, 200);
      await dashboard(page);
      await page.locator("label", { hasText: "Wall" }).click();
    },
  },
  {
    name: "shop-wall-dark-phone",
    options: { ...dark, ...phone },
    go: async (page: Page, mock: Mock) => {
      many(mock, 60);
      await dashboard(page);
      await page.locator("label", { hasText: "Wall" }).click();
    },
  },
  { name: "shop-printers-empty", empty: true, go: (page) => to(page, "#/printers") },
  { name: "shop-printer", full: true, go: printer() },
  { name: "shop-printer-dark", full: true, options: dark, go: printer() },
  { name: "shop-printer-phone", full: true, options: { ...phone, ...german }, go: printer() },
  { name: "shop-printer-offline", full: true, go: printer("core-one") },
  { name: "shop-printer-failed", full: true, options: german, go: printer("a1-right") },
  { name: "shop-printer-read-only", full: true, go: printer("p1s") },
  {
    name: "shop-seen",
    go: async (page) => {
      await dashboard(page);
      await page.getByRole("button", { name: "Add a printer" }).click();
      await page.getByText("Workshop X1").waitFor();
    },
  },
  { name: "shop-jobs", go: (page) => to(page, "#/jobs") },
  { name: "shop-jobs-dark", options: dark, go: (page) => to(page, "#/jobs") },
  { name: "shop-jobs-phone", options: { ...phone, ...german }, go: (page) => to(page, "#/jobs") },
  {
    name: "shop-job",
    go: async (page) => {
      await to(page, "#/jobs/desk/job-1");
      await page.getByRole("dialog").getByText("filament ran out").waitFor();
    },
  },
  { name: "shop-files", full: true, go: (page) => to(page, "#/files") },
  {
    name: "shop-files-moving",
    full: true,
    go: async (page, mock) => {
      mock.shop.hold = true;
      await to(page, "#/printer/desk/a1-left");
      await page.getByRole("button", { name: "Download gear-20.3mf to this hub" }).click();
      await page.locator('[data-file="gear-20.3mf"]').getByRole("progressbar").waitFor();
      await page.getByRole("button", { name: "Details of lamp-shade.3mf" }).click();
    },
  },
  {
    name: "shop-files-phone",
    full: true,
    options: { ...phone, ...dark },
    go: (page) => to(page, "#/files"),
  },
  {
    name: "shop-send",
    go: async (page) => {
      await to(page, "#/files");
      const row = page.locator('[data-file="cable-clip.gcode"]');
      await row.getByRole("button", { name: /or send it/ }).click();
      await page.getByRole("dialog").waitFor();
    },
  },
  {
    name: "shop-clean",
    go: async (page) => {
      await to(page, "#/files");
      await page.getByRole("button", { name: "Clean up" }).click();
      await page.getByRole("dialog").getByText("vase-spiral").waitFor();
    },
  },
  { name: "shop-queue", go: (page) => to(page, "#/queue") },
  {
    name: "shop-queue-dark-phone",
    full: true,
    options: { ...phone, ...dark, ...german },
    go: (page) => to(page, "#/queue"),
  },
  {
    name: "shop-enqueue",
    go: async (page) => {
      await to(page, "#/queue");
      await page.getByRole("button", { name: "Add a file" }).click();
      await page.getByRole("dialog").getByRole("button", { name: "cable-clip.gcode" }).click();
      await page.getByRole("dialog").getByText("Copies").waitFor();
    },
  },
  {
    name: "shop-channels",
    go: async (page) => {
      await dashboard(page);
      await page.getByRole("button", { name: "Notifications" }).click();
      await page.getByText("Workshop phone").waitFor();
    },
  },
  {
    name: "shop-channel-form",
    options: german,
    go: async (page) => {
      await dashboard(page);
      await page.getByRole("button", { name: "Benachrichtigungen" }).click();
      await page.getByRole("button", { name: "Weg hinzufügen" }).click();
      await page.locator("label", { hasText: "E-Mail" }).click();
    },
  },
  ...[
    { name: "shop-add", options: {} },
    { name: "shop-add-phone", options: phone },
  ].map(({ name, options }) => ({
    name,
    options,
    go: async (page: Page, mock: Mock) => {
      mock.shop.probe = {
        problem: {
          reason: "wrong_secret",
          message: "MQTT: the printer refused the access code (not authorised)",
          hint: null,
        },
        identity: null,
        pin: null,
        read_only: null,
      };
      await dashboard(page);
      await page.getByRole("button", { name: "Add a printer" }).click();
      await page.getByText("Workshop X1").click();
      await page.getByLabel("Access code").fill("12345678");
      await page.getByRole("button", { name: "Test the connection" }).click();
      await page.locator("[data-probe=bad]").waitFor();
    },
  })),
];
