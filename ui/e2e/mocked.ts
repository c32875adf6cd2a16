/** What takes a hub that does as it is told: progress, failures, outages, changes by others. */
import assert from "node:assert/strict";
import { attach, button, row, type MockCase } from "./case";
import { nearby, pairing, usbOf } from "./world";

export const mocked: MockCase[] = [
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
          devices: [
            {
              address: "desk/scratch-disk",
              side: "serve",
              in_bytes_per_s: value,
              out_bytes_per_s: 512,
              urbs_per_s: 10,
              errors: 3,
            },
          ],
        });
      }
      await row(page, "desk/scratch-disk").getByText("38.4 MB/s").waitFor();
      await row(page, "desk/scratch-disk").getByText("3 errors").waitFor();
      // The hub falls silent: so do the numbers.
      await row(page, "desk/scratch-disk").getByText("38.4 MB/s").waitFor({ state: "detached" });
    },
  },
  {
    name: "frozen: a device whose hub is out of reach says so, and goes on",
    mock: async (page, mock) => {
      const card = row(page, "lab-berlin/signing-card");
      await card.getByText("Attached here").waitFor();
      mock.freeze("lab-berlin");
      await card.getByText("Connection lost").waitFor();
      await card.getByText("lab-berlin is out of reach.").waitFor();
      mock.change((state) => {
        for (const each of state.attachments)
          if (each.state === "frozen") each.state = "attached";
      });
      await card.getByText("Connection lost").waitFor({ state: "detached" });
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
      assert.equal(
        mock.state.attachments.some((each) => each.address === "garage/laser"),
        false,
      );
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
      await photos.getByText("Waits for a client").waitFor();
      await photos.getByRole("button", { name: "Copy" }).click();
      const copied = await page.evaluate(() => navigator.clipboard.readText());
      assert.match(copied, /^usbip --tcp-port \d+ attach -r 127\.0\.0\.1 -b \S+$/);
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
        status: 403,
        code: "refused",
        message: "garage is not trusted with keyboards.",
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
    name: "a hub on this network: ask, show the code, type the two digits",
    mock: async (page, mock) => {
      await button(page, "Pair with workshop").click();
      const card = page.getByRole("region", { name: "Pairing with workshop" });
      await card.getByText("189 869").waitFor();
      mock.change((state) => Object.assign(state.pairings[0] ?? {}, { state: "check" }));
      const digits = card.getByRole("textbox", { name: "The two digits of workshop" });
      await digits.fill("99");
      await card.getByRole("button", { name: "Pair", exact: true }).click();
      await card.getByRole("alert").getByText("2 tries left").waitFor();
      await digits.fill("20");
      await page.keyboard.press("Enter");
      await page.getByRole("region", { name: "workshop is a peer now" }).waitFor();
      await button(page, "Dismiss").click();
      await page.getByRole("article", { name: "workshop" }).waitFor();
      await page.getByRole("region", { name: "On this network" }).waitFor({ state: "detached" });
    },
  },
  {
    name: "a hub that asks: its code is typed, never just approved; or declined",
    mock: async (page, mock) => {
      mock.change((state) => void state.pairings.push(pairing("workshop", {})));
      const card = page.getByRole("region", { name: "workshop asks to pair" });
      const go = card.getByRole("button", { name: "Pair", exact: true });
      assert.ok(await go.isDisabled(), "nothing can be approved without the code");
      assert.equal(await card.getByText("189").count(), 0, "the code is not on this screen");
      await card.getByRole("textbox", { name: "The six digits of workshop" }).fill("189 869");
      await go.click();
      await card.getByText("Type this on workshop:").waitFor();
      await card.getByText("20", { exact: true }).waitFor();
      mock.change(() => mock.paired());
      await page.getByRole("region", { name: "workshop is a peer now" }).waitFor();
      mock.change((state) => void (state.pairings = [pairing("attic", { doubt: "name_of_peer" })]));
      await page.getByText("It has the name of a peer").waitFor();
      await button(page, "Decline").click();
      await page.getByRole("region", { name: "attic asks to pair" }).waitFor({ state: "detached" });
    },
  },
  {
    name: "a liar's name is doubted; a hub elsewhere is asked by its address",
    mock: async (page, mock) => {
      mock.change((state) => {
        const doubt = "name_of_peer" as const;
        state.nearby.push(nearby("garage", "192.168.1.66:4000", { id: "bad0".repeat(16), doubt }));
      });
      const liar = page.locator(`[data-nearby="${"bad0".repeat(16)}"]`);
      await liar.getByText("it is not that peer").waitFor();
      await button(page, "Pair a hub").click();
      await page.getByRole("radio", { name: "By address" }).check();
      await page.getByRole("textbox", { name: "Host and port" }).fill("shed.lan:3482");
      await page.getByRole("dialog").getByRole("button", { name: "Pair", exact: true }).click();
      const card = page.getByRole("region", { name: "Pairing with shed" });
      await card.getByText("189 869").waitFor();
      await button(page, "Cancel pairing").click();
      await card.waitFor({ state: "detached" });
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
      assert.deepEqual(
        garage()?.grants.map((grant) => grant.selector),
        ["scratch-disk", "class:audio", "jtag"],
      );
      const trust = page.getByRole("switch");
      await trust.click();
      await page.waitForFunction(
        () => !document.querySelector<HTMLInputElement>("[role=switch]")?.disabled,
      );
      assert.equal(garage()?.trusted, true);
      mock.fail = {
        status: 500,
        code: "failed",
        message: "The database is full.",
        hint: "Free some space.",
      };
      await trust.click();
      await page.getByRole("dialog").getByText("Free some space.").waitFor();
      assert.equal(await trust.isChecked(), true);
      await page.getByRole("cell", { name: "in use" }).waitFor();
    },
  },
  {
    name: "a peer by way of a relay: why, what would help, and how it was dialled",
    mock: async (page) => {
      await button(page, "Manage lab-berlin").click();
      const dialog = page.getByRole("dialog");
      await dialog.getByText(/the direct path was lost at/).waitFor();
      await dialog.getByText(/It is tried again every 5 seconds/).waitFor();
      await dialog.getByText("31.4 MB/s").waitFor();
      const addresses = dialog.getByRole("listitem").filter({ hasText: "41641" });
      assert.deepEqual(await addresses.locator(".word").allInnerTexts(), [
        "failed",
        "no answer until then",
      ]);
      await dialog.getByText("Of several addresses it answered first.").waitFor();
    },
  },
  {
    name: "a peer out of reach: what was switched off was not dialled",
    mock: async (page) => {
      await button(page, "Manage attic").click();
      await page.getByText("attic answers at none of its addresses (1).").waitFor();
      await page.getByText("switched off").waitFor();
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
        if (device) usbOf(device).product = bad;
        state.hub.name = bad;
      });
      await row(page, "desk/headset").getByText(bad).waitFor();
      assert.equal(await page.evaluate(() => "bad" in window), false);
    },
  },
];
