/** What one does in the print shop. */
import assert from "node:assert/strict";
import { button, type MockCase } from "./case";
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
      await card(page, "core-one").getByText("Access code, password or key are wrong").waitFor();
      mock.shop.change("a1-left", ({ state }) => {
        if (state?.job) state.job.progress_percent = 63.4;
      });
      await card(page, "a1-left").getByText("63%").waitFor();
      await page.getByRole("searchbox").fill("rack b mk4");
      await card(page, "voron-2-4").waitFor({ state: "detached" });
      assert.equal(await page.locator("article").count(), 2);
      await page.getByRole("searchbox").fill("");
      await page.locator("[data-count=paused]").click();
      assert.equal(await page.locator("article").count(), 1);
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
      await page.waitForFunction(() => document.querySelectorAll("article").length === 510);
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
      console.log(`      500 cards, each changed within a second: frames p50 ${Math.round(times[Math.floor(times.length / 2)] ?? 0)} ms, p95 ${Math.round(p95)} ms`);
      assert.ok(p95 < 250, `p95 of frames ${p95} ms`);
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
      await dialog.getByText("Access code, password or key are wrong").waitFor();
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
];
