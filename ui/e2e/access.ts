/** Who may do what, and who asks: against the mock hub. */
import assert from "node:assert/strict";
import { button, row, type MockCase } from "./case";

export const access: MockCase[] = [
  {
    name: "a grant with conditions, and the authenticator's secret this one time",
    mock: async (page, mock) => {
      await button(page, "Manage attic").click();
      await page.getByRole("combobox", { name: "Devices" }).fill("headset");
      await page.getByText("Conditions").click();
      await page.getByRole("combobox", { name: "Hours" }).selectOption("Mon-Fri");
      await page.getByLabel("From", { exact: true }).fill("09:30");
      await page.getByRole("combobox", { name: "At a time" }).selectOption("1800");
      await page.getByLabel("Last day").fill("2030-01-31");
      await page.getByLabel(/^PIN/).fill("4711");
      await page.getByRole("checkbox").check();
      await button(page, "Grant").click();
      await page.getByRole("img", { name: "QR code for the authenticator app" }).waitFor();
      const grant = mock.state.peers.find((peer) => peer.name === "attic")?.grants[0];
      assert.deepEqual(grant?.windows, ["Mon-Fri 09:30-18:00"]);
      assert.equal(grant?.limit_s, 1800);
      assert.equal(new Date(grant?.until ?? 0).getDate(), 1, "the end of the last day");
      const terms = /Mon-Fri 09:30-18:00 · 30 minutes at a time · until .* · with PIN/;
      await page.getByText(terms).waitFor();
      assert.equal(await page.getByLabel(/^PIN/).inputValue(), "");
    },
  },
  {
    name: "what does not hold now is said, and who is a guest",
    mock: async (page) => {
      await page.getByRole("article", { name: "attic" }).getByText(/^Guest until/).waitFor();
      await button(page, "Manage garage").click();
      await page.getByText("not now").waitFor();
    },
  },
  {
    name: "a guest is invited",
    mock: async (page) => {
      await button(page, "Pair a hub").click();
      await page.getByRole("combobox", { name: "The new peer stays" }).selectOption("7200");
      const sent = page.waitForRequest((request) => request.url().endsWith("/invites"));
      await button(page, "Create invitation").click();
      assert.equal(JSON.parse((await sent).postData() ?? "{}").guest_s, 7200);
    },
  },
  {
    name: "a PIN is asked for where it is needed; a wrong one is said",
    mock: async (page, mock) => {
      mock.change((state) => {
        state.attachments.push({
          address: "garage/laser",
          via: "vhci",
          state: "waiting",
          since: new Date().toISOString(),
          place: null,
          nodes: [],
          error: { message: "a PIN is needed", hint: "farhub attach garage/laser --pin" },
          factor: "pin",
        });
      });
      const laser = row(page, "garage/laser");
      await laser.getByText("a PIN is needed").waitFor();
      await laser.getByRole("button", { name: "Unlock" }).click();
      const dialog = page.getByRole("dialog", { name: "Unlock laser" });
      await dialog.getByLabel("PIN").fill("0000");
      await dialog.getByRole("button", { name: "Unlock" }).click();
      await dialog.getByRole("alert").getByText(/is wrong/).waitFor();
      await dialog.getByLabel("PIN").fill("4711");
      await page.keyboard.press("Enter");
      await dialog.waitFor({ state: "detached" });
      await laser.getByText("Attached here").waitFor();
      assert.equal(await laser.getByRole("button", { name: "Unlock" }).count(), 0);
    },
  },
  {
    name: "a request is answered: yes, at once only after a question",
    mock: async (page, mock) => {
      const request = page.getByRole("listitem", { name: "lab-berlin asks for scratch-disk" });
      await request.getByText("Ten minutes").waitFor();
      await request.getByRole("combobox").selectOption("900");
      await request.getByRole("button", { name: "Yes, at once" }).click();
      const dialog = page.getByRole("dialog", { name: "Take scratch-disk from garage?" });
      await dialog.getByRole("button", { name: "Yes, at once" }).click();
      await request.waitFor({ state: "detached" });
      const body = { for_s: 900, turn: "at_once" };
      assert.deepEqual(mock.answered, [{ number: 3, word: "accept", body }]);
      assert.equal(await page.getByRole("heading", { name: "Requests" }).count(), 0);
    },
  },
  {
    name: "asking for a device, and the answer without reload",
    mock: async (page, mock) => {
      const camera = row(page, "garage/camera");
      await camera.getByText("has not answered yet").waitFor();
      mock.change((state) => {
        for (const one of state.asked) one.reply = { accepted: { seconds: 3600 } };
      });
      await camera.getByText("The owner said yes.").waitFor();
      await camera.getByRole("button", { name: "Put away" }).click();
      await camera.getByText("The owner said yes.").waitFor({ state: "detached" });
      await camera.getByRole("button", { name: "Ask for it" }).click();
      await page.getByRole("textbox", { name: "Message" }).fill("five minutes?");
      await button(page, "Send").click();
      await camera.getByText("five minutes?").waitFor();
      assert.equal(mock.state.asked[0]?.address, "garage/camera");
    },
  },
  {
    name: "the owner ends a use after a question",
    mock: async (page, mock) => {
      const disk = row(page, "desk/scratch-disk");
      await disk.getByRole("button", { name: "End its use" }).click();
      const dialog = page.getByRole("dialog", { name: "End the use of scratch-disk?" });
      await dialog.getByRole("button", { name: "End its use" }).click();
      await disk.getByText("Shared", { exact: true }).waitFor();
      assert.equal(mock.device("scratch-disk")?.state, "free");
    },
  },
  {
    name: "the log: filters, older entries, and a broken chain",
    mock: async (page) => {
      await button(page, "Log").click();
      const dialog = page.getByRole("dialog", { name: "Who did what" });
      await dialog.getByRole("cell", { name: "session.start" }).first().waitFor();
      const rows = dialog.locator("tbody tr");
      assert.equal(await rows.count(), 50);
      await button(page, "Older").click();
      await page.waitForFunction(() => document.querySelectorAll("tbody tr").length === 70);
      await dialog.getByRole("combobox", { name: "What" }).selectOption("grant");
      await button(page, "Show").click();
      await page.waitForFunction(() => document.querySelectorAll("tbody tr").length < 50);
      await button(page, "Check the log").click();
      await dialog.getByRole("alert").getByText("Entry 1,235 was changed.").waitFor();
    },
  },
];
