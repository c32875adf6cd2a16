import { expect, test } from "vitest";
import { queryOf } from "./api";
import {
  ago, bore, colorOf, degrees, duration, length, localOf, mass, past, progress, usOf, when,
} from "./format";
import { hashOfJob, hashOfPrinter, placeFrom } from "./route";

test.each([
  [0, "0 sec"],
  [59.4, "59 sec"],
  [60, "1 min"],
  [3599, "1 hr"],
  [4320, "1 hr, 12 min"],
  [7200, "2 hr"],
  [2 * 86_400 + 3 * 3600, "2 days 3 hr"],
  [-5, "0 sec"],
])("duration %d", (seconds, text) => {
  expect(duration("en", seconds).replace(",", "")).toBe(text.replace(",", ""));
});

test("durations in German", () => {
  expect(duration("de", 4320)).toBe("1 Std. 12 Min.");
  expect(duration("de", 30)).toBe("30 Sek.");
});

test("progress never says 100 before it is, and moves at first", () => {
  expect(progress("en", 99.96)).toBe("99%");
  expect(progress("en", 100)).toBe("100%");
  expect(progress("en", 8.25)).toBe("8.2%");
  expect(progress("de", 62.4)).toBe("62\u00a0%");
  expect(progress("en", 130)).toBe("100%");
});

test("filament, bores, degrees", () => {
  expect(length("en", 820_000)).toBe("820 mm");
  expect(length("de", 12_440_000)).toBe("12,4 m");
  expect(mass("de", 36_940)).toBe("36,9 g");
  expect(mass("en", 1_250_000)).toBe("1.25 kg");
  expect(bore("en", 400)).toBe("0.4 mm");
  expect(degrees("en", 219.6)).toBe("220°");
});

test("when: the time today, the weekday near, the date far, the year when it is another", () => {
  const now = new Date(2026, 10, 21, 12, 0).getTime();
  const us = (...of: [number, number, number, number, number]) => new Date(...of).getTime() * 1000;
  expect(when("de", us(2026, 10, 21, 9, 5), now)).toBe("09:05");
  expect(when("de", us(2026, 10, 22, 0, 30), now)).toBe("So., 00:30");
  expect(when("de", us(2026, 8, 1, 9, 5), now)).toBe("1. Sept., 09:05");
  expect(when("de", us(2025, 8, 1, 9, 5), now)).toBe("1. Sept. 2025, 09:05");
});

test("ago", () => {
  const now = 1_800_000_000_000;
  expect(ago("en", (now - 90_000) * 1000, now)).toBe("1 minute ago");
  expect(ago("en", (now + 5000) * 1000, now)).toBe("in 5 seconds");
  expect(ago("de", (now - 3 * 86_400_000) * 1000, now)).toBe("vor 3 Tagen");
});

test("only a colour is a colour", () => {
  expect(colorOf("#1f4E9c")).toBe("#1f4E9c");
  expect(colorOf("red; background: url(x)")).toBeNull();
  expect(colorOf(undefined)).toBeNull();
});

test("a local time becomes microseconds, nonsense nothing", () => {
  expect(usOf("2026-11-21T09:05")).toBe(new Date(2026, 10, 21, 9, 5).getTime() * 1000);
  expect(usOf("")).toBeUndefined();
  expect(localOf(usOf("2026-11-21T09:05") ?? 0)).toBe("2026-11-21T09:05");
  expect(localOf(usOf("2026-07-01T23:59") ?? 0)).toBe("2026-07-01T23:59");
});

test("addresses of pages", () => {
  for (const area of ["printers", "jobs", "files", "queue"] as const)
    expect(placeFrom(`#/${area}`)).toEqual({ area });
  expect(placeFrom(hashOfPrinter("my hub", "a/b"))).toEqual({
    area: "printer", hub: "my hub", name: "a/b",
  });
  expect(placeFrom(hashOfJob("desk", "j 1"))).toEqual({ area: "job", hub: "desk", id: "j 1" });
  const others = ["#/printer/desk", "#/machine/desk/x", "#/jobs/%zz/x", "#/files/x"];
  for (const hash of ["", "#/", "#printers", ...others])
    expect(placeFrom(hash), hash).toBeNull();
});

test("queries: what is not set is not sent, lists are repeated", () => {
  expect(queryOf({})).toBe("");
  expect(queryOf({ search: "", limit: 50, state: ["a", "b"], after: undefined, x: null })).toBe(
    "?limit=50&state=a&state=b",
  );
  expect(queryOf({ search: "ä&b" })).toBe("?search=%C3%A4%26b");
});

test("what has been is never told as to come", () => {
  expect(past("en", 1_003_000_000, 1_000_000)).toBe("now");
  expect(past("en", 940_000_000, 1_000_000)).toBe("1 minute ago");
});
