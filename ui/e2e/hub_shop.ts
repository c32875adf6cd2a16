/** What one does in the print shop of a real hub, whose printers are simulated on the wire. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import type { Page } from "playwright-core";
import type { JobPage, Printer, QueueItem } from "../src/shop/api";
import { button, type HubCase } from "./case";
import { announce, SECRET, type RealHub } from "./real_hub";
import { card, visit } from "./shop_case";

export const hubShop: HubCase[] = [
  {
    name: "hub: nine printers of four kinds at two hubs, live, without a reload",
    hub: async (page, hub) => {
      await page.evaluate(() => Object.assign(window, { same: true }));
      await page.getByRole("link", { name: "Printers", exact: true }).click();
      await page.locator("[data-count=all]").getByText("9").waitFor();
      const own = await hub.get<Printer[]>("/printers");
      assert.deepEqual(
        [...new Set(own.map(({ protocol }) => protocol))].sort(),
        ["bambu", "moonraker", "octoprint", "prusalink"],
      );
      for (const { name } of own) await card(page, name).waitFor();
      // those of the peer are beside one's own, and say whose they are
      for (const name of ["big-klipper", "p1s-in-the-garage"])
        await card(page, name).getByText("garage", { exact: true }).waitFor();
      // a print goes on while one looks
      const bars = "[data-phase=printing] [role=progressbar][aria-valuenow]";
      await page.locator(bars).first().waitFor();
      const before = await page.$$eval(bars, (all) => all.map((bar) => bar.ariaValueNow).join());
      await page.waitForFunction(
        ([of = "", was]) =>
          [...document.querySelectorAll(of)].map((bar) => bar.ariaValueNow).join() !== was,
        [bars, before],
      );
      assert.ok(await page.evaluate(() => "same" in window), "the page was reloaded");
    },
  },
  {
    name: "hub: add a printer by discovery: a wrong code is told, then it is live; remove it",
    hub: async (page, hub) => {
      const there = await hub.inGarage("p1s-in-the-garage");
      const known = await hub.printer("a1-right");
      await visit(page, "#/printers");
      await card(page, "a1-left").waitFor();
      const dialog = page.getByRole("dialog");
      // All of them are at one address here, and an address is one printer: one after the other.
      let silence = await announce(known, "A1 right");
      try {
        await button(page, "Add a printer").click();
        await dialog.getByText("Here already: A1 right").waitFor();
        silence();
        silence = await announce(there, "Workshop P1S");
        await button(page, "Look again").click();
        await dialog.getByRole("button", { name: /Workshop P1S/ }).click();
        assert.equal(await dialog.getByLabel("Address").inputValue(), "127.0.0.1");
        assert.equal(
          await dialog.getByLabel("Serial number").inputValue(),
          there.address.serial_number,
        );
        // nor can all have the usual port
        await dialog.getByLabel("Port").fill(String(there.address.port));
        await dialog.getByLabel("Access code").fill("00000000");
        await button(page, "Test the connection").click();
        await dialog.getByText("Access code, password or key is wrong").waitFor();
        await dialog.getByLabel("Access code").fill(SECRET);
        await button(page, "Test the connection").click();
        await dialog.getByText("It works.").waitFor();
        await dialog.getByRole("button", { name: "Add", exact: true }).click();
      } finally {
        silence();
      }
      const main = page.locator("main[data-printer=workshop-p1s]");
      await main.waitFor();
      await main.getByText("Online", { exact: true }).waitFor();
      await button(page, "Remove").click();
      await page.getByRole("dialog").getByRole("button", { name: "Remove" }).click();
      await page.getByText("Workshop P1S was removed").waitFor();
      await card(page, "a1-left").waitFor();
      await card(page, "workshop-p1s").waitFor({ state: "detached" });
    },
  },
  {
    name: "hub: the printer that announces itself is found, and a click adds it",
    hub: async (page) => {
      await visit(page, "#/printers");
      await button(page, "Add a printer").click();
      const dialog = page.getByRole("dialog");
      await dialog.getByRole("button", { name: /New Voron/ }).click();
      await button(page, "Test the connection").click();
      await dialog.getByText("It works.").waitFor();
      await dialog.getByRole("button", { name: "Add", exact: true }).click();
      const main = page.locator("main[data-printer=new-voron]");
      await main.getByText("Online", { exact: true }).waitFor();
      await main.locator('[data-file="bracket.gcode"]').waitFor();
    },
  },
  {
    name: "hub: add a PrusaLink by hand, with its password",
    hub: async (page, hub) => {
      const there = await hub.printer("prusa-mk4-no-1");
      await visit(page, "#/printers");
      await button(page, "Add a printer").click();
      const dialog = page.getByRole("dialog");
      await button(page, "Add by hand").click();
      await dialog.getByRole("radio", { name: /^PrusaLink/ }).check();
      await dialog.getByLabel("Address").fill(there.address.host);
      await dialog.getByLabel("Port").fill(String(there.address.port));
      assert.equal(await dialog.getByLabel("User").inputValue(), "maker");
      await dialog.getByLabel("Password").fill(SECRET);
      await button(page, "Test the connection").click();
      await dialog.getByText("It works.").waitFor();
    },
  },
  {
    name: "hub: the whole way: download, upload, start, pause, watch it finish, find it, German",
    hub: async (page, hub) => {
      await page.evaluate(() => Object.assign(window, { same: true }));
      const printer = await hub.printer("voron-2-4");
      await visit(page, "#/printer/desk/voron-2-4");
      const main = page.locator("main[data-printer=voron-2-4]");
      // one click brings a file here, byte for byte
      await button(page, "Download bracket.gcode to this hub").click();
      const save = main.getByRole("link", { name: "Save bracket.gcode on this computer" });
      await save.waitFor();
      const [download] = await Promise.all([page.waitForEvent("download"), save.click()]);
      assert.equal(download.suggestedFilename(), "bracket.gcode");
      const there = await onVoron(printer, "bracket.gcode");
      assert.deepEqual(await readFile(await download.path()), there);
      // a new one goes to the printer, and begins
      const buffer = gcode(3600, 200_000);
      const part = { name: "part.gcode", mimeType: "text/plain", buffer };
      await main.locator("input[type=file]").setInputFiles(part);
      await page.locator("main[data-phase=printing]").waitFor();
      assert.deepEqual(await onVoron(printer, "part.gcode"), buffer);
      await main.locator('[data-file="part.gcode"]').waitFor();
      const fact = (name: string) =>
        main.locator("dl > div").filter({ has: page.getByText(name, { exact: true }) }).first();
      await fact("Layers").getByText("/ 120").waitFor();
      await button(page, "Pause").click();
      await page.locator("main[data-phase=paused]").waitFor();
      const id = (await hub.printer("voron-2-4")).job_id;
      assert.ok(id, "the print is no job");
      await main.locator(`[data-job="${id}"][data-state=paused]`).waitFor();
      await button(page, "Resume").click();
      await page.locator("main[data-phase=printing]").waitFor();
      // an hour is three minutes there; at nine times its speed it is twenty seconds
      await page.getByLabel("G-code line").fill("M220 S900");
      await button(page, "Send").click();
      await page.locator("output").getByText("900 %").waitFor();
      await page.getByText("part.gcode is finished on Voron 2.4").waitFor({ timeout: PRINT_MS });
      await page.locator("main[data-phase=finished]").waitFor();
      await main.locator(`[data-job="${id}"][data-state=finished]`).waitFor();
      await main.getByText("Is the bed clear?").waitFor();
      // and is in the history
      await page.getByRole("link", { name: "Jobs", exact: true }).click();
      await page.getByRole("searchbox").fill("part voron");
      const job = page.locator("[data-job]");
      await page.getByText("1 job", { exact: true }).waitFor();
      assert.deepEqual(
        [await job.getAttribute("data-job"), await job.getAttribute("data-state")],
        [id, "finished"],
      );
      assert.ok((await exported(page)).includes(`\n${id},Voron 2.4,part.gcode,finished,`));
      await job.getByRole("link").click();
      const dialog = page.getByRole("dialog");
      await dialog.getByText("What happened").waitFor();
      const events = await dialog
        .locator("[data-event]")
        .evaluateAll((all) => all.map((each) => each.getAttribute("data-event")).join());
      assert.match(events, /^started,.*paused,resumed,finished$/);
      await dialog.getByLabel("Note").fill("good");
      await dialog.getByRole("button", { name: "Save" }).click();
      await job.getByText("good").waitFor();
      await page.keyboard.press("Escape");
      await page.waitForFunction(() => location.hash === "#/jobs");
      await page.locator("label", { hasText: "Deutsch" }).click();
      await page.getByRole("heading", { name: "Aufträge" }).waitFor();
      await job.getByText("Fertig").waitFor();
      const german = (await exported(page)).split("\r\n")[1]?.split(";");
      assert.deepEqual([german?.[0], german?.[10]], [id, "2,50"]);
      assert.ok(await page.evaluate(() => "same" in window), "the page was reloaded");
    },
  },
  {
    name: "hub: a copy in the queue waits for a clear bed, and is printed",
    hub: async (page, hub) => {
      await clearBed(hub, "voron-2-4");
      await visit(page, "#/files");
      await page.locator("input[type=file]").setInputFiles({
        name: "coin.gcode", mimeType: "text/plain", buffer: gcode(200, 5000),
      });
      await page.getByText("coin.gcode is in the library").waitFor();
      await button(page, "Print coin.gcode, or send it to a printer").click();
      const dialog = page.getByRole("dialog");
      await dialog.getByRole("radio", { name: "In the queue" }).check();
      await dialog.getByRole("button", { name: "Voron 2.4" }).click();
      await dialog.getByLabel("Copies").fill("2");
      await dialog.getByRole("button", { name: "Add to the queue" }).click();
      await page.getByText("coin.gcode is in the queue").waitFor();
      await page.getByRole("link", { name: "Queue", exact: true }).click();
      const item = page.locator("[data-item]").filter({ hasText: "coin.gcode" });
      // the first copy is printed, and lies on the bed: the second one waits for somebody
      await item.getByText("1 of 2 done").waitFor({ timeout: PRINT_MS });
      await button(page, "The bed of Voron 2.4 is clear").click();
      await item.getByRole("link", { name: "Voron 2.4" }).waitFor();
      await item.waitFor({ state: "detached", timeout: PRINT_MS });
      await page.getByLabel("Show what is over").check();
      await item.getByText("2 of 2 done").waitFor();
      const queue = await hub.get<QueueItem[]>("/shop/queue?over=true");
      const [coin] = queue.filter(({ title }) => title === "coin.gcode");
      assert.deepEqual([coin?.state, coin?.done], ["done", 2]);
      const { total } = await hub.get<JobPage>("/shop/jobs?search=coin&state=finished");
      assert.equal(total, 2);
    },
  },
  {
    name: "hub: a printer of the peer is watched and told what to do from here",
    hub: async (page) => {
      await visit(page, "#/printer/garage/big-klipper");
      await page.locator("main[data-printer=big-klipper]").waitFor();
      const light = page.getByRole("switch", { name: "Light" });
      const was = await light.getAttribute("aria-checked");
      for (const is of [was === "true" ? "false" : "true", was ?? ""]) {
        await light.click();
        await page.locator(`[role=switch][aria-checked=${is}]`).waitFor();
      }
      // who may use it may not change or remove it
      assert.equal(await button(page, "Remove").count(), 0);
      await page.getByRole("link", { name: "Jobs", exact: true }).click();
      await page.getByLabel("Hub", { exact: true }).selectOption("garage");
      await page.locator("[data-job]").first().waitFor();
      assert.match(
        (await page.getByRole("link", { name: "Export: CSV" }).getAttribute("href")) ?? "",
        /^\/api\/v1\/hubs\/garage\//,
      );
    },
  },
];

/** A print may wait for others on a computer that has much to do. */
const PRINT_MS = 240_000;

/** What lies on the simulated Voron under that name, asked of it without any hub. */
async function onVoron({ address }: Printer, name: string): Promise<Buffer> {
  const url = `http://${address.host}:${address.port}/server/files/gcodes/${name}`;
  const response = await fetch(url, { headers: { "x-api-key": SECRET } });
  assert.equal(response.status, 200, name);
  return Buffer.from(await response.arrayBuffer());
}

/** That takes a real printer so long, and has at least so many bytes. */
function gcode(seconds: number, bytes: number): Buffer {
  const head = `;TIME:${seconds}\n;LAYER_COUNT:120\n;Filament used: 2.5m\n`;
  return Buffer.from(head + "G1 X1 Y1\n".repeat(Math.ceil(bytes / 9)));
}

/** What the export link brings: as many rows as there are jobs on the screen. */
async function exported(page: Page): Promise<string> {
  const link = page.getByRole("link", { name: /: CSV$/ });
  const [download] = await Promise.all([page.waitForEvent("download"), link.click()]);
  const text = await readFile(await download.path(), "utf8");
  assert.equal(text.trimEnd().split("\r\n").length, 1 + (await page.locator("[data-job]").count()));
  return text;
}

/** As somebody who stands before it would say, where something was printed before. */
async function clearBed(hub: RealHub, name: string): Promise<void> {
  await hub.post(`/printers/${name}/bed-clear`, {});
}
