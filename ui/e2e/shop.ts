/** What one does in the print shop. */
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { button, row, type MockCase } from "./case";
import { faint } from "./contrast";
import { asked, card, many, visit } from "./shop_case";

export const shop: MockCase[] = [
  {
    name: "shop: the dashboard is live, counts, filters, sorts, and leads to the printer",
    mock: async (page, mock) => {
      await page.evaluate(() => Object.assign(window, { same: true }));
      await page.getByRole("link", { name: "Printers" }).click();
      await card(page, "a1-left").getByText("62%").waitFor();
      // one of a peer beside one's own
      await card(page, "garage-mini").getByText("garage", { exact: true }).waitFor();
      const first = await page.locator("[data-printer]").first().getAttribute("data-printer");
      assert.equal(first, "a1-right", "who needs attention comes first");
      await card(page, "core-one").getByText("Access code, password or key is wrong").waitFor();
      mock.shop.change("a1-left", ({ state }) => {
        if (state?.job) state.job.progress_percent = 63.4;
      });
      await card(page, "a1-left").getByText("63%").waitFor();
      await page.getByRole("searchbox").fill("rack b mk4");
      await card(page, "voron-2-4").waitFor({ state: "detached" });
      await count(page, "article", 2);
      await page.getByRole("searchbox").fill("");
      await page.locator("[data-count=paused]").click();
      await count(page, "article", 1);
      mock.shop.change("a1-left", ({ state }) => {
        if (state) state.phase = "paused";
      });
      await card(page, "a1-left").waitFor();
      await page.locator("[data-count=all]").click();
      await page.getByRole("link", { name: "Voron 2.4" }).click();
      await page.locator("main[data-page=printer]").getByText("It prints nothing: Ready.").waitFor();
      assert.ok(await page.evaluate(() => "same" in window), "the page was reloaded");
    },
  },
  {
    name: "shop: 500 printers, each changing once a second, and it stays smooth",
    mock: async (page, mock) => {
      many(mock, 500);
      await visit(page, "#/printers");
      await page.locator("[data-count=all]").getByText("510").waitFor();
      await count(page, "article", 510);
      const names = mock.shop.world.printers.slice(9).map(({ name }) => name);
      const frames = await page.evaluateHandle(() => {
        const long: number[] = [];
        let last = performance.now();
        const step = (now: number) => {
          long.push(now - last);
          last = now;
          requestAnimationFrame(step);
        };
        requestAnimationFrame(step);
        return long;
      });
      for (let round = 1; round <= 20; round += 1) {
        // Each printer says something once a second.
        mock.shop.changeAll(names.slice(round * 25 - 25, round * 25), ({ state }) => {
          if (state?.job) state.job.progress_percent = 98 + round / 100;
          if (state) state.temperatures.bed = { now_c: 50 + round, target_c: 60 };
        });
        await page.evaluate(() => new Promise((done) => setTimeout(done, 50)));
      }
      const times = (await frames.evaluate((all) => all)).sort((a, b) => a - b);
      const p95 = times[Math.floor(times.length * 0.95)] ?? 0;
      const p50 = times[Math.floor(times.length / 2)] ?? 0;
      const frames_ms = `p50 ${Math.round(p50)} ms, p95 ${Math.round(p95)} ms`;
      console.log(`      500 cards, each changed within a second: frames ${frames_ms}`);
      assert.ok(p95 < 250, `p95 of frames ${p95} ms`);
    },
  },
  {
    name: "shop: a hub is not said to have no printers before they are drawn",
    mock: async (page) => {
      await page.addInitScript((words) => {
        const soon = window.requestAnimationFrame.bind(window);
        window.requestAnimationFrame = (draw) => Number(setTimeout(() => soon(draw), 200));
        new MutationObserver(() => {
          const wrong = words.some((each) => document.body?.textContent?.includes(each));
          if (wrong) Object.assign(window, { wrong });
        }).observe(document, { childList: true, subtree: true });
      }, ["No printer yet", "is not here, or not any more"]);
      for (const hash of ["#/printers", "#/printer/desk/voron-2-4"]) {
        await visit(page, hash);
        await page.reload();
        await page.locator("[data-printer=voron-2-4]").waitFor();
        assert.equal(await page.evaluate(() => "wrong" in window), false, hash);
      }
    },
  },
  {
    name: "shop: add by discovery, with a test that says what is wrong",
    mock: async (page, mock) => {
      await visit(page, "#/printers");
      await button(page, "Add a printer").click();
      const dialog = page.getByRole("dialog");
      await dialog.getByText("Here already: A1 left").waitFor();
      await dialog.getByRole("button", { name: /Workshop X1/ }).click();
      assert.equal(await dialog.getByLabel("Address").inputValue(), "192.168.1.88");
      assert.equal(await dialog.getByLabel("Serial number").inputValue(), "00M09A350700111");
      mock.shop.probe = {
        problem: { reason: "wrong_secret", message: "not authorised", hint: null },
        identity: null, pin: null, read_only: null,
      };
      await dialog.getByLabel("Access code").fill("1111");
      await dialog.getByRole("button", { name: "Test the connection" }).click();
      await dialog.getByText("Access code, password or key is wrong").waitFor();
      mock.shop.probe = null;
      await dialog.getByLabel("Access code").fill("12345678");
      await dialog.getByRole("button", { name: "Test the connection" }).click();
      await dialog.getByText("It works.").waitFor();
      await dialog.getByRole("button", { name: "Add", exact: true }).click();
      await page.locator("main[data-printer=workshop-x1]").waitFor();
      assert.match(page.url(), /#\/printer\/desk\/workshop-x1$/);
      const body = JSON.parse(asked(mock, "add")[0]?.slice(4) ?? "");
      assert.equal(body.secret, "12345678");
      assert.equal(body.pin, "9f".repeat(32));
    },
  },
  {
    name: "shop: the whole way: download, upload and start, pause, watch it finish, find it, in German",
    mock: async (page, mock) => {
      await page.evaluate(() => Object.assign(window, { same: true }));
      await visit(page, "#/printer/desk/voron-2-4");
      const main = page.locator("main[data-printer=voron-2-4]");
      // one click brings a file here
      mock.shop.hold = true;
      await button(page, "Download toolhead.gcode to this hub").click();
      const row = page.locator('[data-file="toolhead.gcode"]');
      await row.getByRole("progressbar").waitFor();
      mock.shop.go();
      const save = row.getByRole("link", { name: "Save toolhead.gcode on this computer" });
      await save.waitFor();
      const [download] = await Promise.all([page.waitForEvent("download"), save.click()]);
      assert.equal(download.suggestedFilename(), "toolhead.gcode");
      // a new one goes to the printer, and begins
      const buffer = Buffer.alloc(90_000, "G1 X1\n");
      const file = { name: "part.gcode", mimeType: "text/plain", buffer };
      await main.locator("input[type=file]").setInputFiles(file);
      await page.locator("main[data-phase=printing]").waitFor();
      await main.getByRole("button", { name: "Pause", exact: true }).waitFor();
      assert.deepEqual(asked(mock, "put"), ["put part.gcode 90000"]);
      assert.equal(asked(mock, "send part.gcode").length, 1);
      await page.locator('[data-file="part.gcode"]').waitFor();
      mock.shop.change("voron-2-4", ({ state }) => {
        if (!state?.job) return;
        Object.assign(state.job, { progress_percent: 41, remaining_s: 1416, layer: 50 });
      });
      await main.getByText("41%").waitFor();
      await main.getByText("50 / 120").waitFor();
      await button(page, "Pause").click();
      await page.locator("main[data-phase=paused]").waitFor();
      await button(page, "Resume").click();
      await page.locator("main[data-phase=printing]").waitFor();
      // it comes to its end while somebody looks
      mock.shop.finish("voron-2-4");
      await page.getByText("part.gcode is finished on Voron 2.4").waitFor();
      await page.locator("main[data-phase=finished]").waitFor();
      await main.locator("[data-job][data-state=finished]").first().getByText("part.gcode").waitFor();
      // and is in the history
      await page.getByRole("link", { name: "Jobs", exact: true }).click();
      await page.getByRole("searchbox").fill("part voron");
      const job = page.locator("[data-job=job-new-1]");
      await count(page, "[data-job]", 1);
      await job.getByRole("link").click();
      const dialog = page.getByRole("dialog");
      await dialog.getByText("What happened").waitFor();
      await dialog.getByLabel("Note").fill("good");
      await dialog.getByRole("button", { name: "Save" }).click();
      await job.getByText("good").waitFor();
      assert.equal(mock.shop.world.jobs.find(({ id }) => id === "job-new-1")?.note, "good");
      await page.keyboard.press("Escape");
      await page.waitForFunction(() => location.hash === "#/jobs");
      assert.equal(await page.getByRole("searchbox").inputValue(), "part voron");
      await page.locator("label", { hasText: "Deutsch" }).click();
      await page.getByRole("heading", { name: "Aufträge" }).waitFor();
      await job.getByText("Fertig").waitFor();
      assert.ok(await page.evaluate(() => "same" in window), "the page was reloaded");
    },
  },
  {
    name: "shop: stopping takes two presses; what a printer cannot do is not there",
    mock: async (page, mock) => {
      await visit(page, "#/printer/desk/mk4-one");
      const main = page.locator("main[data-printer=mk4-one]");
      await main.getByText("bracket_0.2mm_PETG.bgcode").first().waitFor();
      // PrusaLink has no light and takes no G-code
      assert.equal(await main.getByRole("switch").count(), 0);
      assert.equal(await main.getByLabel("G-code line").count(), 0);
      await button(page, "Stop").click();
      assert.deepEqual(asked(mock, "command"), []);
      await button(page, "Press again to end the print").click();
      await page.locator("main[data-phase=stopped]").waitFor();
      await main.locator("[data-job=job-2]").getByText("Cancelled").waitFor();
      await button(page, "Bed is clear").click();
      await main.getByText("Is the bed clear?").waitFor({ state: "detached" });
      await visit(page, "#/printer/desk/p1s");
      await page.getByText("It shows what it does, but takes no commands.").waitFor();
      await page.getByText("Developer mode is off").waitFor();
      assert.equal(await button(page, "Pause").count(), 0);
      assert.equal(await page.getByRole("switch").count(), 0);
    },
  },
  {
    name: "shop: light, speed, temperatures, G-code, skipped parts",
    mock: async (page, mock) => {
      await visit(page, "#/printer/desk/a1-left");
      await page.getByRole("switch", { name: "Light" }).click();
      await page.locator("[role=switch][aria-checked=false]").waitFor();
      // what it shows may be there before the answer to what was asked: until then it waits
      await page.locator("input[type=range]:enabled").focus();
      await page.keyboard.press("ArrowRight");
      await page.locator("output").getByText("105 %").waitFor();
      const bed = page.locator("form").filter({ has: page.getByLabel("Target for: Bed") });
      await bed.getByRole("spinbutton").fill("65");
      await bed.getByRole("button", { name: "Set" }).click();
      await page.getByText("/ 65°").waitFor();
      await page.getByLabel("G-code line").fill("M117 hello");
      await page.getByRole("button", { name: "Send", exact: true }).click();
      await page.getByText("M117 hello").waitFor();
      await page.getByText("Skip parts of the plate").click();
      await page.getByRole("checkbox", { name: "shade_2" }).check();
      await button(page, "Skip 1").click();
      await button(page, "Press again; this cannot be undone").click();
      await page.locator("label.skipped").getByText("shade_2").waitFor();
      assert.deepEqual(asked(mock, "command"), [
        'command prt-a1-left {"light":{"on":false}}',
        'command prt-a1-left {"speed":{"percent":105}}',
        'command prt-a1-left {"temperature":{"heater":"bed","target_c":65}}',
        'command prt-a1-left {"gcode":{"lines":"M117 hello"}}',
        'command prt-a1-left {"skip_objects":{"ids":["2"]}}',
      ]);
    },
  },
  {
    name: "shop: edit, switch off and remove a printer; a refusal stays beside it",
    mock: async (page, mock) => {
      await visit(page, "#/printer/desk/voron-2-4");
      await button(page, "Edit").click();
      const dialog = page.getByRole("dialog");
      await dialog.getByLabel("Name").fill("Big Voron");
      await dialog.getByLabel("Tags").fill("abs, big");
      await dialog.getByRole("button", { name: "Save" }).click();
      await page.getByRole("heading", { name: "Big Voron" }).waitFor();
      assert.deepEqual(asked(mock, "PATCH"), [
        'PATCH prt-voron-2-4 {"title":"Big Voron","tags":["abs","big"]}',
      ]);
      mock.shop.fail = { status: 409, code: "busy", message: "It is moving.", hint: "Wait." };
      await page.getByRole("switch", { name: "Light" }).click();
      await page.getByText("It is moving.").waitFor();
      await button(page, "Switch off here").click();
      await page.getByText("the hub does not connect to it").waitFor();
      await button(page, "Remove").click();
      await dialog.getByRole("button", { name: "Remove" }).click();
      await page.getByText("Big Voron was removed").waitFor();
      await card(page, "a1-left").waitFor();
      assert.equal(await card(page, "voron-2-4").count(), 0);
    },
  },
  {
    name: "shop: files: search, tags, library upload, refusal, send, queue, delete, clean up",
    mock: async (page, mock) => {
      await visit(page, "#/files");
      const row = (name: string) => page.locator(`[data-file="${name}"]`);
      await row("gear-20.3mf").waitFor();
      await page.getByRole("searchbox").fill("vase");
      await row("gear-20.3mf").waitFor({ state: "detached" });
      await page.getByRole("searchbox").fill("");
      await page.getByLabel("Tag").selectOption("clips");
      await row("gear-20.3mf").waitFor({ state: "detached" });
      await row("cable-clip.gcode").waitFor();
      await page.getByLabel("Tag").selectOption("");
      await row("gear-20.3mf").waitFor();
      const upload = (name: string) =>
        page.locator("input[type=file]").setInputFiles({
          name, mimeType: "text/plain", buffer: Buffer.from("G28\n"),
        });
      await upload("notes.g");
      await page.getByText("Slice it first").waitFor();
      await page.locator("[data-moving]").getByRole("button", { name: "Cancel" }).click();
      await upload("knob.gcode");
      await page.getByText("knob.gcode is in the library").waitFor();
      await button(page, "Print knob.gcode, or send it to a printer").click();
      const dialog = page.getByRole("dialog");
      const where = dialog.getByRole("combobox", { name: "Printer" });
      await where.selectOption({ label: "Voron 2.4 · Ready" });
      await dialog.getByRole("button", { name: "Send and print" }).click();
      await dialog.waitFor({ state: "detached" });
      await count(page, '[data-file="knob.gcode"]', 2);
      assert.equal(mock.shop.printer("voron-2-4").state?.phase, "printing");
      await button(page, "Details of cable-clip.gcode").click();
      await row("cable-clip.gcode").getByLabel("Tags").fill("clips, blue");
      await row("cable-clip.gcode").getByRole("button", { name: "Save", exact: true }).click();
      await row("cable-clip.gcode").locator("i").getByText("blue").waitFor();
      await button(page, "Delete vase-spiral.gcode").click();
      await dialog.getByRole("button", { name: "Delete" }).click();
      await row("vase-spiral.gcode").waitFor({ state: "detached" });
      await button(page, "Clean up").click();
      await dialog.getByLabel("cable-clip.gcode").waitFor();
      await dialog.getByLabel("cable-clip.gcode").uncheck();
      await dialog.getByRole("button", { name: /^Delete / }).click();
      await dialog.getByRole("button", { name: "Press again to delete" }).click();
      await dialog.waitFor({ state: "detached" });
      await row("calibration-cube.gcode").waitFor({ state: "detached" });
      await row("cable-clip.gcode").waitFor();
      await button(page, "Watched folders").click();
      await dialog.getByRole("textbox", { name: "Folder" }).fill("/srv/prints");
      await dialog.getByRole("button", { name: "Watch", exact: true }).click();
      await dialog.locator('[data-folder="/srv/prints"]').waitFor();
    },
  },
  {
    name: "shop: the queue: why it waits, order, hold, add with a tag, bed, cancel",
    mock: async (page, mock) => {
      await visit(page, "#/queue");
      const item = (id: string) => page.locator(`[data-item="${id}"]`);
      await item("que-1").getByText("A1 right: its bed has not been cleared").waitFor();
      await button(page, "Move cable-clip.gcode up").click();
      await page.locator("li[data-item]:first-child[data-item=que-2]").waitFor();
      await item("que-2").getByRole("button", { name: "Hold" }).click();
      await item("que-2").getByText("Held").waitFor();
      await button(page, "The bed of A1 right is clear").click();
      await button(page, "The bed of A1 right is clear").waitFor({ state: "detached" });
      const dialog = page.getByRole("dialog");
      await item("que-1").getByText("due ").waitFor();
      await button(page, "Change lamp-shade.3mf").click();
      await dialog.getByLabel("Due").fill("");
      await dialog.getByRole("button", { name: "Save" }).click();
      await item("que-1").getByText("due ").waitFor({ state: "detached" });
      await button(page, "Add a file").click();
      await dialog.getByRole("button", { name: "cable-clip.gcode" }).click();
      await dialog.getByRole("button", { name: "any with “petg”" }).click();
      await dialog.getByLabel("Copies").fill("3");
      await dialog.getByRole("button", { name: "Add to the queue" }).click();
      await item("que-new-1").getByText("0 of 3 done").waitFor();
      await item("que-new-1").getByText("any with “petg”").waitFor();
      await item("que-new-1").getByRole("button", { name: "Cancel" }).click();
      await item("que-new-1").getByRole("button", { name: "Press again to cancel" }).click();
      await item("que-new-1").waitFor({ state: "detached" });
      await page.getByLabel("Show what is over").check();
      await item("que-new-1").getByText("Cancelled").waitFor();
      assert.deepEqual(asked(mock, "queue PATCH"), [
        'queue PATCH que-2 {"before":"que-1"}',
        'queue PATCH que-2 {"held":true}',
        'queue PATCH que-1 {"title":"lamp-shade.3mf","copies":6,"priority":1,"note":"",' +
          '"needs":{"material":"PLA"},"targets":{"printers":[],"tags":["fast"]},"due_us":null}',
      ]);
    },
  },
  {
    name: "shop: jobs: filters, an endless list, exports, a failure told while one looks",
    mock: async (page, mock) => {
      await visit(page, "#/jobs");
      await count(page, "[data-job]", 50);
      await page.waitForFunction(() => {
        scrollTo(0, document.body.scrollHeight);
        return document.querySelectorAll("[data-job]").length === 134;
      });
      await page.locator("[data-count=failed]").click();
      await page.getByText("22 jobs").waitFor();
      const link = page.getByRole("link", { name: "Export: CSV" });
      const href = await link.getAttribute("href");
      assert.equal(href, "/api/v1/shop/jobs/export?state=failed&format=csv&locale=en");
      const [download] = await Promise.all([page.waitForEvent("download"), link.click()]);
      assert.match(download.suggestedFilename(), /^farhub-\d{4}-\d\d-\d\d\.csv$/);
      await page.getByLabel("Printer", { exact: true }).selectOption({ label: "A1 left" });
      await page.getByLabel("Time", { exact: true }).selectOption("month");
      await page.getByText("22 jobs").waitFor({ state: "detached" });
      await page.locator("[data-count=failed]").click();
      mock.shop.finish("a1-left", "failed", "The filament ran out.");
      await page.getByText("lamp-shade.3mf failed on A1 left").waitFor();
      await page.locator("[data-job=job-1][data-state=failed]").waitFor();
    },
  },
  {
    name: "shop: what belongs to one hub is not shown as another's",
    mock: async (page, mock) => {
      for (const [hash, rows] of [
        ["#/jobs", "[data-job]"], ["#/files", "[data-file]"], ["#/queue", "[data-item]"],
      ] as const) {
        await visit(page, hash);
        await page.locator(`main ${rows}`).first().waitFor();
        mock.peerShops.garage?.break();
        await page.getByLabel("Hub", { exact: true }).selectOption("garage");
        await page.getByText("The hub does not answer.").waitFor();
        await count(page, `main ${rows}`, 0);
        if (mock.peerShops.garage) mock.peerShops.garage.broken = false;
      }
    },
  },
  {
    name: "shop: ways to be told: added, tested, with what is wrong",
    mock: async (page, mock) => {
      await visit(page, "#/printers");
      await button(page, "Notifications").click();
      const dialog = page.getByRole("dialog");
      await dialog.getByRole("button", { name: "Add a way" }).click();
      await dialog.getByLabel("Name").fill("Chat");
      await dialog.getByLabel("URL").fill("https://chat.example.org/hook");
      await dialog.getByRole("button", { name: "Save" }).click();
      const channel = dialog.locator("[data-channel=Chat]");
      await channel.waitFor();
      mock.shop.fail = {
        status: 502, code: "unreachable", message: "chat.example.org answered 404 Not Found",
        hint: "Check the URL.",
      };
      await channel.getByRole("button", { name: "Test" }).click();
      await channel.getByText("answered 404").waitFor();
      await channel.getByRole("button", { name: "Test" }).click();
      await page.getByText("The test for Chat went out").waitFor();
    },
  },
  {
    name: "shop: one who fell behind looks anew; an outage passes; a peer out of reach is told",
    mock: async (page, mock) => {
      await visit(page, "#/printers");
      await card(page, "a1-left").getByText("62%").waitFor();
      mock.shop.lose("mk4-one", ({ state }) => {
        if (state) state.phase = "paused";
      });
      mock.shop.change("a1-left", ({ state }) => {
        if (state?.job) state.job.progress_percent = 70;
      });
      mock.shop.again();
      await page.locator('[data-printer="mk4-one"][data-phase=paused]').waitFor();
      await card(page, "a1-left").getByText("70%").waitFor();
      mock.peerShops.garage?.break();
      await page.getByText("garage is out of reach. Its printers are shown as last known.").waitFor();
      await card(page, "garage-mini").getByText("whistle.gcode").waitFor();
      if (mock.peerShops.garage) mock.peerShops.garage.broken = false;
      await page.getByText("garage is out of reach").waitFor({ state: "detached" });
      await mock.down();
      await page.locator("[data-link=lost]").waitFor();
      mock.shop.printer("a1-left").state!.job!.progress_percent = 80;
      await mock.up();
      await card(page, "a1-left").getByText("80%").waitFor();
    },
  },
  {
    name: "shop: a hub that knows of no printers has no such pages",
    empty: true,
    mock: async (page, mock) => {
      await page.getByRole("navigation").waitFor();
      mock.shop.absent = true;
      const asked = page.waitForResponse(/\/api\/v1\/printers$/);
      await page.reload();
      assert.equal((await asked).status(), 404);
      await page.getByText("No USB devices here").waitFor();
      await page.getByRole("navigation").waitFor({ state: "detached" });
    },
  },
  ...[
    { name: "light", options: {} },
    { name: "dark, German", options: { colorScheme: "dark" as const, locale: "de-DE" } },
  ].map(({ name, options }): MockCase => ({
    name: `shop: every text can be read, nothing is wider than a phone (${name})`,
    options: { ...options, viewport: { width: 390, height: 844 } },
    mock: async (page) => {
      for (const [hash, there] of PAGES) {
        await visit(page, hash);
        await page.locator(there).first().waitFor();
        await page.waitForFunction(() =>
          document.getAnimations().every((each) => !(each instanceof CSSTransition)),
        );
        assert.deepEqual(await page.evaluate(faint), [], hash);
        const wide = await page.evaluate(() => document.documentElement.scrollWidth);
        assert.ok(wide <= 390, `${hash}: ${wide} px`);
      }
    },
  })),
  {
    name: "shop: odd words of printers are words",
    mock: async (page, mock) => {
      await visit(page, "#/printers");
      await card(page, "a1-left").waitFor();
      mock.shop.change("a1-left", (printer) => {
        const { state } = printer;
        if (!state?.job) return;
        const fault = { severity: "common" as const, code: "", text: "<b>hot</b>" };
        state.faults = [fault, { ...fault }];
        state.slots = [...(state.slots ?? []), ...(state.slots ?? [])];
        for (const slot of state.slots) slot.color = "red;background:url(//x)";
        state.job.name = "x".repeat(300);
        [printer.title, printer.location, printer.model] = ["y".repeat(120), "same", "same"];
        printer.tags = ["pla", "pla"];
      });
      await card(page, "a1-left").getByText("<b>hot</b>").first().waitFor();
      await page.getByRole("link", { name: /^y+$/ }).click();
      await page.locator("main[data-page=printer]").getByText("<b>hot</b>").first().waitFor();
      const [wide, view] = await page.evaluate(() => [
        document.documentElement.scrollWidth, innerWidth,
      ]);
      assert.ok((wide ?? 0) <= (view ?? 0), `${wide} px`);
    },
  },
  {
    name: "shop: in the list of devices a printer keeps its name, and is hidden from peers",
    mock: async (page, mock) => {
      const printer = row(page, "desk/a1-left");
      assert.equal(await printer.getByRole("button").count(), 1, "it can be renamed");
      const more = printer.getByRole("button", { name: "More for a1-left" });
      await more.click();
      await page.getByRole("menuitem", { name: "Hide from peers" }).click();
      await printer.getByText("Not shared").waitFor();
      assert.equal(mock.device("a1-left")?.shared, false);
      await more.click();
      await page.getByRole("menuitem", { name: "Show to peers" }).click();
      await printer.getByText("Shared", { exact: true }).waitFor();
      await printer.getByRole("link", { name: "Open the page of a1-left" }).click();
      await page.locator("main[data-printer=a1-left]").waitFor();
    },
  },
  {
    name: "shop: by keyboard alone: to a printer and back",
    mock: async (page) => {
      await visit(page, "#/printers");
      await card(page, "a1-left").waitFor();
      await page.getByRole("searchbox").focus();
      await page.keyboard.type("voron");
      await card(page, "a1-left").waitFor({ state: "detached" });
      await page.getByRole("link", { name: "Voron 2.4" }).focus();
      await page.keyboard.press("Enter");
      await page.locator("main[data-printer=voron-2-4]").waitFor();
      await page.getByRole("link", { name: "All printers" }).focus();
      await page.keyboard.press("Enter");
      await card(page, "a1-left").waitFor();
    },
  },
];

/** And what is there when it is drawn. */
const PAGES: [string, string][] = [
  ["#/printers", "[data-printer=garage-mini]"],
  ["#/printer/desk/a1-left", "[data-printer=a1-left] [data-job]"],
  ["#/printer/desk/a1-right", "[data-printer=a1-right] [data-job]"],
  ["#/printer/desk/core-one", "[data-printer=core-one] [data-job]"],
  ["#/printer/desk/p1s", "[data-printer=p1s] [data-job]"],
  ["#/jobs", "[data-job]"],
  ["#/jobs/desk/past-0002", "dialog [data-event]"],
  ["#/files", "main [data-file]"],
  ["#/queue", "[data-item]"],
];

const count = (page: Page, what: string, wanted: number) =>
  page.waitForFunction(
    ([all, number]) => document.querySelectorAll(String(all)).length === number,
    [what, wanted],
  );
