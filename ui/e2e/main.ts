/**
 * The page in a real browser. Against the mock hub by default; with FARHUB_URL, those tests that
 * any hub with at least one device passes (`farhub up --demo` is one).
 */
import assert from "node:assert/strict";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import type { State } from "../src/api";
import { launch, visit, type Visit } from "./browser";
import { Mock } from "./mock";
import { world } from "./world";

type Hub = { url: string; state: () => Promise<State> };
type Test = { name: string; options?: BrowserContextOptions } & (
  | { any: (page: Page, hub: Hub) => Promise<void> }
  | { mock: (page: Page, mock: Mock) => Promise<void>; empty?: boolean }
);

const row = (page: Page, address: string) => page.locator(`[data-device="${address}"]`);
const button = (page: Page, name: string) => page.getByRole("button", { name, exact: true });
const attach = (page: Page, address: string) =>
  row(page, address).getByRole("button", { name: "Attach", exact: true });
const phone = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };

const tests: Test[] = [
  {
    name: "every device of the state is shown, with its product and ids",
    any: async (page, hub) => {
      const { devices } = await hub.state();
      assert.ok(devices.length > 0, "the hub has no device to show");
      for (const { address, kind } of devices) {
        const text = await row(page, address).innerText();
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
      const device = (await hub.state()).devices.find((each) => each.kind.usb.interfaces.length > 0);
      assert.ok(device);
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
        (each) => each.local && each.state === "free" && each.problem === null,
      );
      assert.ok(ours, "the hub has no free device of its own");
      const { shared } = ours;
      const word = (is: boolean) => (is ? "Stop sharing" : "Share");
      for (const is of [shared, !shared]) {
        await row(page, ours.address).getByRole("button", { name: word(is), exact: true }).click();
        await row(page, ours.address).getByRole("button", { name: word(!is), exact: true }).waitFor();
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
      assert.ok(await qr.evaluate((img: HTMLImageElement) => img.naturalWidth > 0), "the QR is drawn");
      const left = page.getByText(/^Expires in (10:00|9:\d\d)$/);
      const before = await left.innerText();
      await page.waitForFunction(
        (text) => !document.body.innerText.includes(text), before,
      );
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
      await page.getByRole("button", { name: /^Details of/ }).first().tap();
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(wide <= 0, `${wide} px too wide`);
      const tall = await page.locator("main .button:not(.square)").evaluateAll((all) =>
        all.map((each) => each.getBoundingClientRect().height).filter((height) => height < 28));
      assert.deepEqual(tall, []);
    },
  },
  {
    name: "contrast of all text is at least 4.5 to 1, light and dark",
    any: async (page) => {
      await page.getByRole("button", { name: /^Details of/ }).first().click();
      for (const theme of ["Light", "Dark"]) {
        await page.getByRole("radio", { name: theme }).check();
        await page.waitForFunction(() => document.getAnimations().every((a) => !(a instanceof CSSTransition)));
        assert.deepEqual(await page.evaluate(faint), [], theme);
      }
    },
  },
  {
    name: "live: a device plugged in appears, one pulled goes, without reload",
    mock: async (page, mock) => {
      await page.evaluate(() => Object.assign(window, { same: true }));
      const headset = mock.device("headset");
      assert.ok(headset);
      mock.change((state) => {
        state.devices.push({ ...headset, id: "usb:new", name: "second", address: "desk/second" });
        state.devices = state.devices.filter((each) => each.name !== "jtag");
      });
      await row(page, "desk/second").waitFor();
      await row(page, "desk/jtag").waitFor({ state: "detached" });
      assert.ok(await page.evaluate(() => "same" in window), "the page was reloaded");
    },
  },
  {
    name: "live: rates of a device in use",
    mock: async (page, mock) => {
      for (const value of [1e6, 38.4e6]) {
        mock.rates({
          devices: [{
            address: "desk/scratch-disk", side: "serve", in_bytes_per_s: value, out_bytes_per_s: 512,
            urbs_per_s: 10, errors: 3,
          }],
        });
      }
      await row(page, "desk/scratch-disk").getByText("38.4 MB/s").waitFor();
      await row(page, "desk/scratch-disk").getByText("3 errors").waitFor();
      // The hub falls silent: so do the numbers.
      await row(page, "desk/scratch-disk").getByText("38.4 MB/s").waitFor({ state: "detached" });
    },
  },
  {
    name: "attach: progress, then where it is; detach",
    mock: async (page, mock) => {
      mock.hold = true;
      await attach(page, "garage/laser").click();
      const laser = row(page, "garage/laser");
      await laser.getByText("Connecting", { exact: true }).waitFor();
      await laser.getByRole("progressbar").waitFor();
      mock.land("garage/laser");
      await laser.getByText("Attached here").waitFor();
      await laser.getByText("/dev/ttyUSB0").waitFor();
      await laser.getByText("vhci port 1").waitFor();
      assert.equal(await laser.getByRole("progressbar").count(), 0);
      await laser.getByRole("button", { name: "Detach" }).click();
      await attach(page, "garage/laser").waitFor();
      assert.equal(mock.state.attachments.some((each) => each.address === "garage/laser"), false);
    },
  },
  {
    name: "attach through USB/IP, by keyboard: the command can be copied",
    mock: async (page) => {
      const photos = row(page, "garage/photos");
      await photos.getByRole("button", { name: /More ways/ }).focus();
      await page.keyboard.press("Enter");
      await page.keyboard.press("ArrowDown");
      await page.keyboard.press("Enter");
      await photos.getByRole("button", { name: "Copy" }).click();
      const copied = await page.evaluate(() => navigator.clipboard.readText());
      assert.match(copied, /^usbip attach -r 127\.0\.0\.1 --tcp-port \d+ -b \S+$/);
    },
  },
  {
    name: "the menu closes on Escape and gives the focus back",
    mock: async (page) => {
      const opener = row(page, "garage/photos").getByRole("button", { name: /More ways/ });
      await opener.click();
      await page.getByRole("menuitem").first().waitFor();
      await page.keyboard.press("Escape");
      assert.equal(await page.getByRole("menuitem").count(), 0);
      assert.ok(await opener.evaluate((each) => each === document.activeElement));
    },
  },
  {
    name: "a refused attach shows message and hint beside the device, until dismissed",
    mock: async (page, mock) => {
      mock.fail = {
        status: 403, code: "refused", message: "garage is not trusted with keyboards.",
        hint: "farhub trust garage",
      };
      await attach(page, "garage/number-pad").click();
      const alert = row(page, "garage/number-pad").getByRole("alert");
      await alert.getByText("garage is not trusted with keyboards.").waitFor();
      await alert.getByText("farhub trust garage").waitFor();
      await alert.getByRole("button", { name: "Dismiss" }).click();
      await alert.waitFor({ state: "detached" });
      await attach(page, "garage/number-pad").waitFor();
    },
  },
  {
    name: "a device that waits for its hub can be given up",
    mock: async (page) => {
      const scanner = row(page, "attic/scanner");
      await scanner.getByText("attic does not answer.").waitFor();
      await scanner.getByRole("button", { name: "Detach" }).click();
      await scanner.waitFor({ state: "detached" });
    },
  },
  {
    name: "rename, and share under another name",
    mock: async (page, mock) => {
      await button(page, "Share echo-port under another name").click();
      await page.getByRole("textbox", { name: "Name" }).fill("loop");
      await page.keyboard.press("Enter");
      await row(page, "desk/loop").getByText("Shared", { exact: true }).waitFor();
      assert.equal(mock.device("loop")?.shared, true);
      await button(page, "Rename loop").click();
      await page.getByRole("textbox", { name: "Name" }).fill("other");
      await page.keyboard.press("Escape");
      await row(page, "desk/loop").getByText("loop", { exact: true }).waitFor();
    },
  },
  {
    name: "sharing stops under a user only after a question",
    mock: async (page, mock) => {
      const disk = row(page, "desk/scratch-disk");
      await disk.getByRole("button", { name: "Stop sharing" }).click();
      const dialog = page.getByRole("dialog", { name: "Stop sharing scratch-disk?" });
      await dialog.getByRole("button", { name: "Cancel" }).click();
      await dialog.waitFor({ state: "detached" });
      assert.equal(mock.device("scratch-disk")?.shared, true);
      await disk.getByRole("button", { name: "Stop sharing" }).click();
      await dialog.getByRole("button", { name: "Stop sharing" }).click();
      await disk.getByText("Not shared").waitFor();
    },
  },
  {
    name: "an invitation that is taken closes itself and says who joined",
    mock: async (page, mock) => {
      await button(page, "Pair a hub").click();
      await button(page, "Create invitation").click();
      await page.getByRole("img", { name: /QR/ }).waitFor();
      mock.change(() => void mock.join("workshop"));
      await page.getByRole("status").getByText("workshop has joined").waitFor();
      await page.getByRole("dialog").waitFor({ state: "detached" });
      await page.getByText("workshop shares nothing with this hub yet").waitFor();
    },
  },
  {
    name: "join with the whole pasted command",
    mock: async (page, mock) => {
      await button(page, "Pair a hub").click();
      await page.getByRole("radio", { name: "Join" }).check();
      await page.getByRole("textbox", { name: "Ticket" }).fill("farhub pair farhub1abc\ndef");
      await page.getByRole("textbox", { name: "Name for that hub" }).fill("shed");
      await button(page, "Join").click();
      await page.getByText("Paired with shed").waitFor();
      assert.ok(mock.state.peers.some((peer) => peer.name === "shed"));
    },
  },
  {
    name: "a peer: grant, revoke, trust, paths",
    mock: async (page, mock) => {
      const garage = () => mock.state.peers.find((peer) => peer.name === "garage");
      await button(page, "Manage garage").click();
      await page.getByRole("combobox", { name: "Devices" }).fill("headset");
      await page.getByRole("combobox", { name: "Role" }).selectOption("control");
      await button(page, "Grant").click();
      await button(page, "Revoke headset").click();
      await button(page, "Revoke headset").waitFor({ state: "detached" });
      assert.deepEqual(garage()?.grants.map((grant) => grant.selector), ["scratch-disk", "class:audio"]);
      const trust = page.getByRole("switch");
      await trust.click();
      await page.waitForFunction(() => !document.querySelector<HTMLInputElement>("[role=switch]")?.disabled);
      assert.equal(garage()?.trusted, true);
      mock.fail = { status: 500, code: "failed", message: "The database is full.", hint: "Free some space." };
      await trust.click();
      await page.getByRole("dialog").getByText("Free some space.").waitFor();
      assert.equal(await trust.isChecked(), true);
      await page.getByRole("cell", { name: "in use" }).waitFor();
    },
  },
  {
    name: "a peer is removed after a question",
    mock: async (page, mock) => {
      await button(page, "Manage attic").click();
      await button(page, "Remove attic").click();
      await button(page, "Remove").click();
      await page.getByText("attic was removed").waitFor();
      await page.getByRole("article", { name: "attic" }).waitFor({ state: "detached" });
      assert.ok(!mock.state.peers.some((peer) => peer.name === "attic"));
    },
  },
  {
    name: "the hub goes and comes back: said so, then live again with its new state, no reload",
    mock: async (page, mock) => {
      await page.evaluate(() => Object.assign(window, { same: true }));
      await mock.down();
      await page.getByText("The hub does not answer.").waitFor();
      assert.ok(await attach(page, "garage/laser").isDisabled());
      mock.state.devices = mock.state.devices.filter((each) => each.name !== "photos");
      await mock.up();
      await page.locator("[data-link=live]").waitFor();
      await row(page, "garage/photos").waitFor({ state: "detached" });
      assert.ok(await attach(page, "garage/laser").isEnabled());
      assert.ok(await page.evaluate(() => "same" in window), "the page was reloaded");
    },
  },
  {
    name: "an empty hub teaches: no devices, no peers",
    empty: true,
    mock: async (page) => {
      await page.getByText("farhub up --demo").waitFor();
      await page.getByText("No other hub yet").waitFor();
      await button(page, "Pair a hub").click();
      await page.getByRole("dialog", { name: "Pair a hub" }).waitFor();
    },
  },
  {
    name: "hostile names and QR codes are only text and a picture",
    mock: async (page, mock) => {
      const bad = `<img src=x onerror="window.bad=1">`;
      mock.change((state) => {
        const device = mock.device("headset");
        if (device) device.kind.usb.product = bad;
        state.hub.name = bad;
      });
      await row(page, "desk/headset").getByText(bad).waitFor();
      assert.equal(await page.evaluate(() => "bad" in window), false);
    },
  },
];

/** Runs in the page: text whose colour is too close to what is behind it. */
function faint(): string[] {
  const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  if (!context) return ["no canvas"];
  const rgb = (color: string): number[] => {
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = color;
    context.fillRect(0, 0, 1, 1);
    return [...context.getImageData(0, 0, 1, 1).data];
  };
  const light = (color: number[]) => {
    const [r = 0, g = 0, b = 0] = color.slice(0, 3).map((part) => {
      const c = part / 255;
      return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element: Element | null): number[] => {
    for (let at = element; at; at = at.parentElement) {
      const color = rgb(getComputedStyle(at).backgroundColor);
      if (color[3] === 255) return color;
    }
    return [255, 255, 255];
  };
  const found: string[] = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    const text = node.textContent?.trim() ?? "";
    if (!element || text === "" || !element.checkVisibility() || element.closest(":disabled, .skip")) continue;
    const [a, b] = [light(rgb(getComputedStyle(element).color)), light(behind(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) found.push(`${ratio.toFixed(2)}: ${text}`);
  }
  return found;
}

export async function main(): Promise<void> {
  const real = process.env.FARHUB_URL;
  const wanted = process.argv[3] ?? "";
  const chosen = tests.filter((each) => (!real || "any" in each) && each.name.includes(wanted));
  const browser = await launch();
  let failed = 0;
  for (const each of chosen) {
    const start = performance.now();
    const trouble = await run(browser, each, real);
    if (trouble) failed += 1;
    console.log(`${trouble ? "FAIL" : "ok"}  ${each.name} (${Math.round(performance.now() - start)} ms)`);
    if (trouble) console.log(trouble.replace(/^/gm, "      "));
  }
  await browser.close();
  const left = tests.length - chosen.length;
  if (left > 0) console.log(`${left} not run: ${real ? "they need the mock hub" : "not asked for"}`);
  console.log(`${chosen.length - failed} passed, ${failed} failed`);
  process.exitCode = failed > 0 ? 1 : 0;
}

async function run(browser: Browser, test: Test, real: string | undefined): Promise<string | null> {
  const empty = "empty" in test && test.empty;
  const mock = new Mock(empty ? { ...world(), peers: [], devices: [], attachments: [] } : world());
  let seen: Visit | null = null;
  try {
    if (!real) await mock.up();
    const url = real ?? mock.url;
    seen = await visit(browser, url, test.options);
    await seen.page.locator("[data-link=live]").waitFor();
    const state = async () => (await (await fetch(`${url}/api/v1/state`)).json()) as State;
    if ("any" in test) await test.any(seen.page, { url, state });
    else await test.mock(seen.page, mock);
    assert.deepEqual(seen.complaints, [], "the browser's console");
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    await seen?.close();
    if (!real) await mock.down();
  }
}
