/** What holds on every hub: the mock, and with FARHUB_URL a real one. */
import assert from "node:assert/strict";
import { button, row, type AnyCase } from "./case";
import { faint } from "./contrast";

const phone = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };

export const anywhere: AnyCase[] = [
  {
    name: "every device of the state is shown, with its product and ids",
    any: async (page, hub) => {
      const { devices } = await hub.state();
      assert.ok(devices.length > 0, "the hub has no device to show");
      for (const { address, kind } of devices) {
        const text = await row(page, address).innerText();
        if ("serial" in kind) {
          assert.ok(text.includes(kind.serial.port), `${address}: ${text}`);
          continue;
        }
        if ("printer" in kind) {
          assert.ok(text.includes(kind.printer.model), `${address}: ${text}`);
          continue;
        }
        assert.match(text, new RegExp(kind.usb.vendor_id.toString(16).padStart(4, "0")));
        assert.ok(text.includes(kind.usb.product), `${address}: ${text}`);
      }
    },
  },
  {
    name: "the hub's name, its version, and what is simulated",
    any: async (page, hub) => {
      const { hub: us, devices } = await hub.state();
      await page.getByRole("heading", { level: 1 }).getByText(us.name, { exact: true }).waitFor();
      await page.getByText(`farhub ${us.version}`).waitFor();
      assert.equal(await page.getByText("Demo: simulated devices").isVisible(), us.demo);
      const simulated = devices.filter((device) => device.simulated).length;
      assert.equal(await page.getByText("simulated", { exact: true }).count(), simulated);
    },
  },
  {
    name: "details show the descriptors, by keyboard alone",
    any: async (page, hub) => {
      const device = (await hub.state()).devices.find(
        (each) => "usb" in each.kind && each.kind.usb.interfaces.length > 0,
      );
      assert.ok(device && "usb" in device.kind);
      const toggle = row(page, device.address).getByRole("button", { name: /^Details of/ });
      await toggle.focus();
      await page.keyboard.press("Enter");
      assert.equal(await toggle.getAttribute("aria-expanded"), "true");
      const first = device.kind.usb.interfaces.find((each) => each.endpoints.length > 0);
      const address = `0x${first?.endpoints[0]?.address.toString(16).padStart(2, "0")}`;
      await row(page, device.address).getByRole("cell", { name: address }).first().waitFor();
      await page.keyboard.press("Enter");
      assert.equal(await toggle.getAttribute("aria-expanded"), "false");
    },
  },
  {
    name: "share and stop sharing",
    any: async (page, hub) => {
      const ours = (await hub.state()).devices.find(
        (each) =>
          each.local && each.state === "free" && each.problem === null && !("printer" in each.kind),
      );
      assert.ok(ours, "the hub has no free device of its own");
      const { shared } = ours;
      const word = (is: boolean) => (is ? "Stop sharing" : "Share");
      for (const is of [shared, !shared]) {
        await row(page, ours.address)
          .getByRole("button", { name: word(is), exact: true })
          .click();
        await row(page, ours.address)
          .getByRole("button", { name: word(!is), exact: true })
          .waitFor();
        const { devices } = await hub.state();
        assert.equal(devices.find((each) => each.id === ours.id)?.shared, !is);
      }
    },
  },
  {
    name: "an invitation: ticket, QR code as an image, countdown",
    any: async (page) => {
      await button(page, "Pair a hub").click();
      await button(page, "Create invitation").click();
      const qr = page.getByRole("img", { name: "QR code of the ticket" });
      await qr.waitFor();
      assert.match((await qr.getAttribute("src")) ?? "", /^data:image\/svg\+xml/);
      assert.ok(
        await qr.evaluate((img: HTMLImageElement) => img.naturalWidth > 0),
        "the QR is drawn",
      );
      const left = page.getByText(/^Expires in (10:00|9:\d\d)$/);
      const before = await left.innerText();
      await page.waitForFunction((text) => !document.body.innerText.includes(text), before);
      await button(page, "Copy: Ticket").click();
      await page.getByText("Copied").waitFor();
      const copied = await page.evaluate(() => navigator.clipboard.readText());
      assert.ok(copied.length > 20 && !/\s/.test(copied), copied);
      await page.keyboard.press("Escape");
      await page.getByRole("dialog").waitFor({ state: "detached" });
    },
  },
  {
    name: "a ticket that is none: what is wrong, in the dialog",
    any: async (page) => {
      await button(page, "Pair a hub").click();
      await page.getByRole("radio", { name: "Join" }).check();
      await page.getByRole("textbox", { name: "Ticket" }).fill("hello");
      await button(page, "Join").click();
      await page.getByRole("dialog").getByRole("alert").waitFor();
    },
  },
  {
    name: "language: switch, remembered after a reload",
    any: async (page) => {
      await page.getByRole("radio", { name: "Deutsch" }).check();
      await page.getByRole("heading", { name: "Hier", exact: true }).waitFor();
      assert.equal(await page.locator("html").getAttribute("lang"), "de");
      await page.reload();
      await page.getByRole("heading", { name: "Auf anderen Hubs" }).waitFor();
    },
  },
  {
    name: "language: German from the browser",
    options: { locale: "de-AT" },
    any: async (page) => page.getByRole("heading", { name: "Hier", exact: true }).waitFor(),
  },
  {
    name: "theme: system, dark, light; remembered before the first paint",
    options: { colorScheme: "light" },
    any: async (page) => {
      const paper = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
      const light = await paper();
      await page.getByRole("radio", { name: "Dark" }).check();
      const dark = await paper();
      assert.notEqual(dark, light);
      await page.reload();
      await page.locator("[data-link=live]").waitFor();
      assert.equal(await paper(), dark);
      await page.getByRole("radio", { name: "System" }).check();
      assert.equal(await paper(), light);
      await page.emulateMedia({ colorScheme: "dark" });
      assert.equal(await paper(), dark);
    },
  },
  {
    name: "phone: nothing wider than the screen, buttons large enough for thumbs",
    options: phone,
    any: async (page) => {
      await page
        .getByRole("button", { name: /^Details of/ })
        .first()
        .tap();
      // Of the screen: the page of a phone grows with what is too wide.
      const wide = (await page.evaluate(() => document.documentElement.scrollWidth)) - 390;
      assert.ok(wide <= 0, `${wide} px too wide`);
      const names = await page
        .locator("[data-device] .what")
        .evaluateAll((all) =>
          all.map((each) => each.getBoundingClientRect().width).filter((width) => width < 200),
        );
      assert.deepEqual(names, [], "names are squeezed");
      const tall = await page
        .locator("main .button:not(.square)")
        .evaluateAll((all) =>
          all.map((each) => each.getBoundingClientRect().height).filter((height) => height < 36),
        );
      assert.deepEqual(tall, []);
    },
  },
  {
    name: "contrast of all text is at least 4.5 to 1, light and dark",
    any: async (page) => {
      await page
        .getByRole("button", { name: /^Details of/ })
        .first()
        .click();
      for (const theme of ["Light", "Dark"]) {
        await page.getByRole("radio", { name: theme }).check();
        await page.waitForFunction(() =>
          document.getAnimations().every((a) => !(a instanceof CSSTransition)),
        );
        assert.deepEqual(await page.evaluate(faint), [], theme);
      }
    },
  },
];
