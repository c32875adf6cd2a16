/** What one does with a machine on its page: move it, talk to it, hand it jobs. */
import assert from "node:assert/strict";
import { button, row, type MockCase } from "./case";
import { asked, axis, BOARD, LASER, until } from "./machine_case";
import { open } from "./machine_shots";

export const machine: MockCase[] = [
  {
    name: "machine: its page opens from the list, has an address, and back goes back",
    mock: async (page) => {
      await row(page, LASER).getByText("GRBL").waitFor();
      await page.getByRole("link", { name: "Open the page of engraver" }).click();
      await axis(page, "X").getByText("20.000").waitFor();
      assert.match(page.url(), /#\/machine\/desk\/engraver$/);
      assert.match(await page.title(), /^engraver · desk · farhub$/);
      await page.reload();
      await axis(page, "X").getByText("20.000").waitFor();
      await page.goBack();
      await row(page, LASER).waitFor();
    },
  },
  {
    name: "machine: one of a peer, by its hub, with temperatures",
    mock: async (page) => {
      await open(page, BOARD);
      await axis(page, "Z").getByText("12.400").waitFor();
      await page.getByText("/ 60 °C").waitFor();
      assert.equal(await page.getByRole("columnheader", { name: "Machine" }).count(), 0);
    },
  },
  {
    name: "moving: pad, keyboard, Z, step, cancel; not while another uses the port",
    mock: async (page, mock) => {
      await open(page);
      await button(page, "Move X+ by 10 mm").click();
      await axis(page, "X").getByText("30.000").waitFor();
      await page.getByRole("radio", { name: "0.1" }).check();
      await page.getByRole("group", { name: /^Move X and Y/ }).focus();
      await page.keyboard.press("ArrowUp");
      await axis(page, "Y").getByText("20.100").waitFor();
      await page.keyboard.press("PageDown");
      await axis(page, "Z").getByText("-0.100").waitFor();
      await button(page, "Cancel the move").click();
      await button(page, "Set XY to zero here").click();
      await axis(page, "X").getByText("0.000").waitFor();
      await until(page, () => asked(mock, "act").length === 5, "five acts");
      assert.deepEqual(asked(mock, "act"), [
        'act {"act":"jog","x":10,"feed":3000}',
        'act {"act":"jog","y":0.1,"feed":3000}',
        'act {"act":"jog","z":-0.1,"feed":3000}',
        'act {"act":"jog_cancel"}',
        'act {"act":"zero","axes":"xy"}',
      ]);
      mock.machines.change(LASER, ({ state }) => (state.user = "garage"));
      await page.locator("[data-barred=user]").first().waitFor();
      assert.ok(await button(page, "Home").isDisabled());
      assert.ok(await page.getByRole("textbox", { name: "Line to send" }).isDisabled());
    },
  },
  {
    name: "overrides are sent when they are let go",
    mock: async (page, mock) => {
      await open(page);
      const feed = page.getByRole("slider", { name: "Feed" });
      await feed.focus();
      await page.keyboard.press("ArrowRight");
      await page.locator("output").getByText("105 %").waitFor();
      await page.getByRole("radio", { name: "25 %" }).check();
      await until(page, () => asked(mock, "act").length === 2, "two acts");
      assert.deepEqual(asked(mock, "act"), [
        'act {"act":"feed","percent":105}',
        'act {"act":"rapid","percent":25}',
      ]);
    },
  },
  {
    name: "console: own lines, history, words for errors, and it stays where one reads",
    mock: async (page, mock) => {
      await open(page);
      const line = page.getByRole("textbox", { name: "Line to send" });
      const log = page.getByRole("log");
      for (const text of ["$I", "what"]) {
        await line.fill(text);
        await page.keyboard.press("Enter");
        await log.locator(".own").getByText(text).waitFor();
      }
      await log.getByText("A word begins with no letter", { exact: true }).waitFor();
      await line.focus();
      await page.keyboard.press("ArrowUp");
      await page.keyboard.press("ArrowUp");
      assert.equal(await line.inputValue(), "$I");
      const many = Array.from({ length: 2500 }, (_, i) => `line ${i}\r\n`).join("");
      mock.machines.say(LASER, many);
      await log.getByText("line 2499").waitFor();
      assert.equal(await log.locator("p").count(), 2000);
      await log.evaluate((box) => (box.scrollTop = 0));
      await button(page, "Newest lines").waitFor();
      mock.machines.say(LASER, "later\r\n");
      await log.getByText("later").waitFor({ state: "attached" });
      assert.equal(await log.evaluate((box) => box.scrollTop), 0);
      await button(page, "Copy all").click();
      await page.getByText("Copied").waitFor();
      const copied = await page.evaluate(() => navigator.clipboard.readText());
      assert.match(copied, /line 2499\nlater$/);
    },
  },
  {
    name: "a job: uploaded over an outage, checked, armed, started, aborted",
    mock: async (page, mock) => {
      await open(page);
      mock.machines.cuts = 2;
      const bytes = Buffer.alloc(2.5 * 1024 * 1024, "G1 X1 Y1 S100\n");
      const file = { name: "plate.gcode", mimeType: "text/plain", buffer: bytes };
      await page.locator("input[type=file]").setInputFiles(file);
      await page.locator("[data-upload=waiting]").waitFor();
      const job = page.locator("[data-job]").filter({ hasText: "plate.gcode" });
      await job.getByText("Checked").waitFor();
      assert.deepEqual(asked(mock, "job"), ["job plate.gcode"]);
      await button(page, "Arm").click();
      await button(page, "Press again to arm").click();
      await button(page, "Start").click();
      await job.getByText("Running").waitFor();
      await button(page, "Abort").click();
      await button(page, "Press again to abort").click();
      await job.getByText("Aborted").waitFor();
      const { length } = asked(mock, "");
      assert.deepEqual(mock.machines.asked.slice(length - 3), ["arm 5", "start 5", "abort 5"]);
    },
  },
  {
    name: "the rest of a job that was cut short, from a line that one chooses",
    mock: async (page, mock) => {
      await open(page);
      mock.machines.run(LASER, 4, 400);
      await page.getByText("Line 400 of 1,200").waitFor();
      await button(page, "Abort").click();
      await button(page, "Press again to abort").click();
      await button(page, "Run the rest …").click();
      const line = page.getByLabel("From line");
      assert.equal(await line.inputValue(), "350");
      await line.fill("300");
      await button(page, "Make a job of it").click();
      await page.locator("[data-job]").filter({ hasText: "from line 300" }).waitFor();
      assert.deepEqual(asked(mock, "rest"), ["rest 4"]);
    },
  },
  {
    name: "the path of a long job is drawn at once, and its progress on it",
    mock: async (page, mock) => {
      mock.machines.sim(LASER).segments = 100_000;
      await open(page);
      await page.locator("[data-preview]:not([data-preview=none])").waitFor();
      const count = Number(await page.locator("[data-preview]").getAttribute("data-preview"));
      assert.ok(count > 90_000, `${count} segments`);
      const inked = () =>
        page
          .locator("canvas")
          .nth(1)
          .evaluate((canvas: HTMLCanvasElement) => {
            const pen = canvas.getContext("2d");
            const data = pen?.getImageData(0, 0, canvas.width, canvas.height).data ?? [];
            return [...data].filter((value, i) => i % 4 === 3 && value > 0).length;
          });
      assert.equal(await inked(), 0);
      mock.machines.run(LASER, 4, 400);
      await page.getByText("Line 400 of 1,200").waitFor();
      const some = await inked();
      assert.ok(some > 100, `${some} pixels`);
      const slow = await page.evaluate(async () => {
        let longest = 0;
        let last = performance.now();
        for (let i = 0; i < 30; i += 1) {
          await new Promise((done) => requestAnimationFrame(done));
          longest = Math.max(longest, performance.now() - last);
          last = performance.now();
        }
        return longest;
      });
      assert.ok(slow < 400, `a frame took ${slow} ms`);
    },
  },
  {
    name: "settings are saved as they were set",
    mock: async (page, mock) => {
      await open(page);
      await page.getByText("Profile, port, arming").click();
      await page.getByLabel("Dead-man limit, ms").fill("800");
      await page.getByLabel("Interlock").selectOption("cts");
      await button(page, "Save").click();
      await page.getByText("Saved.").waitFor();
      const { settings } = mock.machines.sim(LASER).machine;
      assert.deepEqual([settings.deadman_ms, settings.interlock], [800, "cts"]);
    },
  },
  {
    name: "a machine that is not there is said to be not there",
    mock: async (page) => {
      await page.evaluate(() => (location.hash = "#/machine/garage/nothing"));
      await page.getByText("There is no such machine.").waitFor();
      await page.getByRole("link", { name: "All devices" }).first().click();
      await row(page, LASER).waitFor();
    },
  },
  {
    name: "attached as a port: what was asked, where it is, how to copy it",
    mock: async (page, mock) => {
      await row(page, BOARD)
        .getByRole("button", { name: /More ways/ })
        .click();
      await page.getByRole("menuitem", { name: /pseudo-terminal/ }).click();
      await page.getByRole("dialog").getByRole("button", { name: "Attach" }).click();
      await row(page, BOARD).getByText("/tmp/garage-printer-board").waitFor();
      await row(page, BOARD).getByRole("button", { name: "Copy" }).click();
      await page.getByText("Copied").waitFor();
      const { via } = mock.state.attachments.at(-1) ?? {};
      assert.deepEqual(via, { port: { pty: "/tmp/garage-printer-board" } });
    },
  },
  {
    name: "machine in German",
    options: { locale: "de-DE" },
    mock: async (page, mock) => {
      await open(page);
      await axis(page, "X").getByText("20,000").waitFor();
      await page.getByText("Stop-Weg bewiesen").waitFor();
      mock.machines.deaf = true;
      await page.keyboard.press("Escape");
      await page.locator(".title", { hasText: "NICHT BESTÄTIGT" }).waitFor();
      await page.getByText("Alarm 3: Reset während der Bewegung.").waitFor();
    },
  },
];
