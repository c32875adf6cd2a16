import { expect, test } from "vitest";
import { de } from "./de";
import { en, type Key } from "./en";
import { fill, slots } from "./fill";
import { languageFrom } from "./language";

const keys = Object.keys(en) as Key[];

test("both catalogues have the same keys, in the same order", () => {
  expect(Object.keys(de)).toEqual(keys);
});

test.each(keys)("%s: same placeholders, nothing empty", (key) => {
  expect(slots(de[key])).toEqual(slots(en[key]));
  expect(de[key].trim()).not.toBe("");
  expect(en[key].trim()).not.toBe("");
});

test("German has no English quotes or dots", () => {
  for (const key of keys) expect(de[key], key).not.toMatch(/“[^”]*”|\w…|\.\.\./);
});

test("every text is used, and every use has a text", async () => {
  const files = import.meta.glob("../**/*.{svelte,ts}", {
    query: "?raw",
    import: "default",
    eager: true,
  });
  const code = Object.entries(files)
    .filter(([path]) => !path.includes("/text/") && !path.startsWith("./"))
    .map(([, text]) => text as string)
    .join("\n");
  const built = [...code.matchAll(/t\(`(\w+_)\$\{/g)].map((match) => match[1] ?? "");
  built.push("devices_", "errors_", "alarm_code_", "error_code_", "jobs_", "files_");
  built.push("shop_what_");
  const unused = keys.filter(
    (key) => !code.includes(`"${key}"`) && !built.some((start) => key.startsWith(start)),
  );
  expect(unused).toEqual([]);
});

test("fill puts values in and leaves what it does not know", () => {
  expect(fill("{a} of {b}", { a: 1 })).toBe("1 of {b}");
});

test("the language is the chosen one, else the browser's first of ours, else English", () => {
  expect(languageFrom("de", ["en"])).toBe("de");
  expect(languageFrom(null, ["fr", "de-AT", "en"])).toBe("de");
  expect(languageFrom(null, ["en-US", "de"])).toBe("en");
  expect(languageFrom(null, ["fr"])).toBe("en");
  expect(languageFrom("klingon", ["de"])).toBe("de");
});
