/** STOP before all, then the truth: what is old, who may do what, on a phone, in both themes. */
import assert from "node:assert/strict";
import { button, type MockCase } from "./case";
import { faint } from "./contrast";
import { asked, BOARD, LASER, stop, until } from "./machine_case";
import { open } from "./machine_shots";

const phone = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };

export const machineSafety: MockCase[] = [
  {
    name: "STOP is sent when it is pressed, not when it is let go, and says what came of it",
    mock: async (page, mock) => {
      await open(page);
      mock.machines.held = [];
      await stop(page).hover();
      await page.mouse.down();
      await until(page, () => (mock.machines.held?.length ?? 0) === 1, "the request");
      await page.locator("[data-stop=wait]").waitFor();
      await page.getByText("STOP: no answer yet").waitFor();
      for (const go of mock.machines.held.splice(0)) go();
      await page.locator("[data-stop=good]").getByText("0x18 reset").waitFor();
      await page.getByText("stop byte left after 3.6 ms").waitFor();
      await page.mouse.up();
      assert.equal(asked(mock, "stop").length, 1);
    },
  },
  {
    name: "STOP by keyboard: Escape while typing too, Ctrl and dot, Enter on the button",
    mock: async (page, mock) => {
      await open(page);
      const line = page.getByRole("textbox", { name: "Line to send" });
      await line.fill("G0 X1");
      for (const key of ["Escape", "Control+.", "Escape"]) {
        const before = asked(mock, "stop").length;
        await page.keyboard.press(key);
        await until(page, () => asked(mock, "stop").length > before, key);
      }
      await stop(page).focus();
      await page.keyboard.press("Enter");
      await until(page, () => asked(mock, "stop").length === 4, "Enter");
      assert.deepEqual(asked(mock, "send"), []);
    },
  },
  {
    name: "STOP that is not confirmed says so, and what to do",
    mock: async (page, mock) => {
      await open(page);
      mock.machines.deaf = true;
      await stop(page).click();
      const outcome = page.locator("[data-stop=bad]");
      await outcome.locator(".title", { hasText: "NOT CONFIRMED" }).waitFor();
      await outcome.getByText("Use the machine's own switch.").waitFor();
      await mock.down();
      await stop(page).click();
      await outcome.getByText("The hub does not answer.").waitFor();
    },
  },
  {
    name: "STOP ALL is in the head of the main page, and tells of each machine",
    mock: async (page, mock) => {
      await button(page, "STOP all machines").click();
      const head = page.getByRole("banner");
      for (const name of [LASER, BOARD]) await head.getByText(name, { exact: true }).waitFor();
      assert.deepEqual(asked(mock, "stop"), [`stop ${LASER}`, `stop ${BOARD}`]);
    },
  },
  {
    name: "a stopped machine is let go by two presses",
    mock: async (page, mock) => {
      await open(page);
      await page.keyboard.press("Escape");
      await button(page, "Clear the stop").click();
      assert.deepEqual(asked(mock, "clear"), []);
      await button(page, "Press again to clear").click();
      await page.getByText("The machine is stopped").waitFor({ state: "detached" });
      assert.equal(asked(mock, "clear").length, 1);
    },
  },
  {
    name: "what is old says so: no news, a closed port, a silent controller",
    mock: async (page, mock) => {
      await open(page);
      await page.locator("[data-path=proven]").waitFor();
      mock.machines.silent = true;
      await page.locator("[data-news=hub]").waitFor();
      await page.locator("[data-stale=hub]").waitFor();
      await page.locator("[data-path=broken]").waitFor();
      await page.getByText("Unknown (last: Idle)").waitFor();
      assert.equal(await page.locator("[data-beam]").innerText(), "Unknown");
      assert.ok(await button(page, "Move X+ by 10 mm").isDisabled());
      assert.ok(await stop(page).isEnabled());
      mock.machines.silent = false;
      await page.locator("[data-news]").waitFor({ state: "detached" });
      mock.machines.change(LASER, ({ state }) => (state.port = { closed: { why: "unplugged" } }));
      await page.getByText("The port is closed: unplugged").waitFor();
    },
  },
  {
    name: "a hub that is gone and back: the stream begins anew, the console says nothing twice",
    mock: async (page, mock) => {
      await open(page);
      mock.machines.say(LASER, "first\r\n");
      await page.getByRole("log").getByText("first").waitFor();
      await mock.down();
      await page.locator("main[data-link=lost]").waitFor();
      await mock.up();
      await page.locator("main[data-link=live]").waitFor();
      mock.machines.say(LASER, "second\r\n");
      await page.getByRole("log").getByText("second").waitFor();
      assert.equal(await page.getByRole("log").getByText("first").count(), 1);
    },
  },
  {
    name: "a stop button that stopped it, is open or is lost is named, in both languages",
    mock: async (page, mock) => {
      await open(page);
      mock.machines.change(LASER, ({ state }) => {
        state.stopped = { reason: { button: { button: "foot" } }, report: null };
        state.buttons = [
          { name: "foot", contact: { lost: { why: "it was pulled out" } } },
          { name: "lid", contact: "open" },
          { name: "wall", contact: "ready" },
        ];
      });
      await page.getByText("The stop button foot stopped it.").waitFor();
      await page.getByText("The stop button foot is lost (it was pulled out).").waitFor();
      await page.getByText("The stop button lid is open").waitFor();
      assert.equal(await page.getByText("The stop button wall").count(), 0);
      await page.getByRole("radio", { name: "Deutsch" }).check();
      await page.getByText("Gestoppt vom Stop-Taster foot.").waitFor();
      await page.getByText("Der Stop-Taster lid ist offen").waitFor();
    },
  },
  {
    name: "an alarm has its words",
    mock: async (page, mock) => {
      await open(page);
      mock.machines.say(LASER, "ALARM:1\r\n");
      mock.machines.change(LASER, ({ state }) => {
        if (state.status) Object.assign(state.status, { state: "alarm", pins: "XZ" });
      });
      await page.getByText("Alarm 1: A limit switch was hit.").waitFor();
      await page.getByText("X limit").waitFor();
    },
  },
  {
    name: "arming: two presses, a code where one is wanted, one press back",
    mock: async (page, mock) => {
      await open(page);
      mock.machines.code = "123456";
      await button(page, "Arm (2 min)").click();
      await button(page, "Press again to arm").click();
      await page.getByRole("textbox", { name: "Code of the authenticator app" }).fill("123 456");
      await button(page, "Arm (2 min)").click();
      await button(page, "Press again to arm").click();
      await page.locator("[data-arming=armed]").getByText("2:00").waitFor();
      await button(page, "Make safe").click();
      await page.locator("[data-arming=safe]").waitFor();
    },
  },
  {
    name: "a watcher may watch, and stop; the owner's settings are not shown",
    mock: async (page, mock) => {
      mock.machines.change(BOARD, (each) => (each.role = "view"));
      await open(page, BOARD);
      await page.locator("[data-barred=role]").first().waitFor();
      assert.equal(await page.getByText("Choose a file").count(), 0);
      assert.equal(await page.getByText("Profile, port, arming").count(), 0);
      await button(page, "STOP printer-board").click();
      await until(page, () => asked(mock, "stop").length === 1, "the stop");
    },
  },
  {
    name: "machine on a phone: STOP along the bottom, nothing wider than the screen",
    options: phone,
    mock: async (page, mock) => {
      await open(page);
      for (const down of [0, 900, 4000]) {
        await page.evaluate((y) => scrollTo(0, y), down);
        const box = await stop(page).boundingBox();
        assert.ok(box && box.y > 600 && box.y + box.height <= 844 && box.width > 340);
      }
      assert.ok(await page.locator("[data-arming]").isVisible());
      const wide = (await page.evaluate(() => document.documentElement.scrollWidth)) - 390;
      assert.ok(wide <= 0, `${wide} px too wide`);
      const low = await page
        .locator(".button:not(.square), .pad button")
        .evaluateAll((all) =>
          all
            .filter((each) => each.checkVisibility() && each.getBoundingClientRect().height < 36)
            .map((each) => each.textContent),
        );
      assert.deepEqual(low, []);
      await stop(page).tap();
      await page.locator("[data-stop=good]").waitFor();
      assert.equal(asked(mock, "stop").length, 1);
    },
  },
  {
    name: "machine: contrast of all text is at least 4.5 to 1, light and dark, also when old",
    mock: async (page, mock) => {
      await open(page);
      mock.machines.deaf = true;
      mock.machines.run(LASER, 4, 400);
      await page.keyboard.press("Escape");
      await page.locator("[data-stop=bad]").waitFor();
      for (const theme of ["Light", "Dark"]) {
        await page.getByRole("radio", { name: theme }).check();
        for (const silent of [false, true]) {
          mock.machines.silent = silent;
          const news = page.locator("[data-news]");
          await news.waitFor({ state: silent ? "visible" : "detached" });
          await page.waitForFunction(() =>
            document.getAnimations().every((a) => !(a instanceof CSSTransition)),
          );
          assert.deepEqual(await page.evaluate(faint), [], `${theme}${silent ? ", old" : ""}`);
        }
      }
    },
  },
];
