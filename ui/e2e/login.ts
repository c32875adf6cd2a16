/** A hub that asks for a login: in, out, and back to where one was. */
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { button, enter, type MockCase } from "./case";
import { faint } from "./contrast";

const password = "correct horse";
const live = (page: Page) => page.locator("[data-link=live]").waitFor();

export const login: MockCase[] = [
  {
    name: "login: by keyboard, and nothing of the hub before",
    password,
    mock: async (page, mock) => {
      await page.getByRole("heading", { name: "Log in" }).waitFor();
      const html = await page.content();
      assert.ok(!html.includes(mock.state.hub.name) && (await page.title()) === "farhub");
      assert.ok(await button(page, "Log in").isDisabled(), "there is nothing to send yet");
      await page.keyboard.type(password);
      await page.keyboard.press("Enter");
      await live(page);
      await page.getByRole("heading", { level: 1 }).getByText(mock.state.hub.name).waitFor();
      await page.reload();
      await live(page);
    },
  },
  {
    name: "login: a wrong password, then the right one",
    password,
    mock: async (page) => {
      await enter(page, "guess");
      await page.getByRole("alert").getByText("That is not the password.").waitFor();
      assert.ok(
        await page.getByLabel("Password").evaluate((each) => each === document.activeElement),
      );
      await page.keyboard.type(password);
      await page.keyboard.press("Enter");
      await live(page);
    },
  },
  {
    name: "login: too many tries are told, with the time that is left",
    password,
    mock: async (page, mock) => {
      mock.wait_s = 2;
      await enter(page, password);
      await page.getByRole("alert").getByText(/possible in 0:0[12]/).waitFor();
      assert.ok(await button(page, "Log in").isDisabled());
      mock.wait_s = 0;
      await page.getByRole("alert").waitFor({ state: "detached" });
      await button(page, "Log in").click();
      await live(page);
    },
  },
  {
    name: "login: a session that ends leads to the login, and back to where one was",
    password,
    mock: async (page, mock) => {
      await enter(page, password);
      await button(page, "Manage garage").click();
      await page.getByRole("dialog").waitFor();
      await page.evaluate(() => Object.assign(window, { same: true }));
      mock.expire();
      await page.getByText("Your session is over.").waitFor();
      assert.equal(await page.getByRole("dialog").count(), 0);
      assert.ok(!(await page.content()).includes("garage"));
      await enter(page, password);
      await page.getByRole("dialog").getByText("What garage may use").waitFor();
      await live(page);
      assert.ok(await page.evaluate(() => "same" in window), "the page was reloaded");
    },
  },
  {
    name: "login: what one does after the session ended leads to the login",
    password,
    mock: async (page, mock) => {
      await enter(page, password);
      await live(page);
      await page.waitForFunction(() => document.querySelector("nav b"));
      // without the end of the feeds: as when a proxy keeps it; and before anything that the page
      // asks by itself has told it
      mock.strangersLook = true;
      mock.password = "another one";
      mock.forget();
      await button(page, "Share").first().click();
      await page.getByText("Your session is over.").waitFor();
    },
  },
  {
    name: "login: out again, and nothing is left on the page",
    password,
    mock: async (page, mock) => {
      await enter(page, password);
      await live(page);
      await button(page, "Log out").click();
      await page.getByRole("heading", { name: "Log in" }).waitFor();
      assert.ok(!(await page.content()).includes(mock.state.hub.name));
      await page.getByText("Enter the password of this hub.").waitFor();
      assert.deepEqual(await page.context().cookies(), []);
    },
  },
  {
    name: "login: German, narrow, light and dark",
    password,
    options: { locale: "de-DE", viewport: { width: 320, height: 640 } },
    mock: async (page) => {
      await page.getByLabel("Passwort").fill("x");
      await button(page, "Anmelden").click();
      await page.getByRole("alert").getByText("Das ist nicht das Passwort.").waitFor();
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(wide <= 0, `${wide} px too wide`);
      for (const theme of ["Hell", "Dunkel"]) {
        await page.getByRole("radio", { name: theme }).check();
        await page.waitForFunction(() =>
          document.getAnimations().every((a) => !(a instanceof CSSTransition)),
        );
        assert.deepEqual(await page.evaluate(faint), [], theme);
      }
    },
  },
];
