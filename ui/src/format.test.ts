import { expect, test } from "vitest";
import {
  bitsPerSecond,
  bytes,
  bytesPerSecond,
  clock,
  milliseconds,
  moment,
  percent,
  span,
  spark,
} from "./format";

test.each([
  [0, "0 B"],
  [999, "999 B"],
  [999.6, "1 kB"],
  [1000, "1 kB"],
  [1234, "1.2 kB"],
  [99_949, "99.9 kB"],
  [123_456, "123 kB"],
  [999_499, "999 kB"],
  [1e6, "1 MB"],
  [38_400_000, "38.4 MB"],
  [5e15, "5,000 TB"],
  [-3, "0 B"],
])("bytes %d", (value, text) => expect(bytes("en", value)).toBe(text));

test("numbers follow the locale", () => {
  expect(bytesPerSecond("de", 38_400_000)).toBe("38,4 MB/s");
  expect(milliseconds("de", 0.84)).toBe("0,8 ms");
  expect(milliseconds("en", 47.3)).toBe("47 ms");
  expect(percent("en", 0.0042)).toBe("0.4%");
  expect(percent("de", 0.0042)).toBe("0,4\u00a0%");
});

test("USB speeds read as on the box", () => {
  expect(bitsPerSecond("en", 1.5e6)).toBe("1.5 Mbit/s");
  expect(bitsPerSecond("en", 480e6)).toBe("480 Mbit/s");
  expect(bitsPerSecond("en", 10e9)).toBe("10 Gbit/s");
});

test.each([
  [600, "10:00"],
  [59.2, "1:00"],
  [5, "0:05"],
  [3600, "1:00:00"],
  [86_399, "23:59:59"],
  [-4, "0:00"],
])("clock %d", (seconds, text) => expect(clock(seconds)).toBe(text));

test("a moment of today has no date", () => {
  const now = new Date(2026, 10, 21, 12, 0);
  expect(moment("de", new Date(2026, 10, 21, 9, 5), now)).toBe("09:05");
  expect(moment("de", new Date(2026, 10, 20, 9, 5), now)).toBe("20.11.2026, 09:05");
});

test("spans", () => {
  expect(span("en", 600)).toBe("10 minutes");
  expect(span("de", 3600)).toBe("1 Stunde");
  expect(span("en", 86_400)).toBe("1 day");
});

test("a sparkline ends at the right edge and touches the top", () => {
  expect(spark([0, 5, 10], 5, 40, 10)).toBe("20,10 30,5 40,0");
  expect(spark([0, 0], 2, 10, 4)).toBe("0,4 10,4");
});
