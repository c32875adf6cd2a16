import { expect, test } from "vitest";
import { idle, printer, shopWorld } from "../../e2e/shop_world";
import { blank, changeOf, draftOf, draftOfSeen, newPrinter, tagsOf } from "./draft";

test("one that was seen needs only its secret", () => {
  const [seen] = shopWorld().seen;
  if (!seen) throw new Error("nothing seen");
  const draft = { ...draftOfSeen(seen), secret: "12345678" };
  expect(newPrinter(draft)).toEqual({
    protocol: "bambu",
    host: "192.168.1.88",
    port: 8883,
    tls: true,
    title: "Workshop X1",
    serial_number: "00M09A350700111",
    secret: "12345678",
    model: "X1 Carbon",
    tags: [],
  });
});

test("what another protocol does not have is not sent", () => {
  const draft = { ...blank("prusalink"), host: " mk4.local ", serial_number: "x", port: "abc" };
  expect(newPrinter(draft)).toEqual({
    protocol: "prusalink", host: "mk4.local", port: 80, tls: false, user: "maker", tags: [],
  });
  const other = { ...blank("moonraker"), host: "v", user: "maker", port: "443", tls: true };
  expect(newPrinter(other)).toEqual({
    protocol: "moonraker", host: "v", port: 443, tls: true, tags: [],
  });
});

test("only what is different goes, and an empty secret stays the old one", () => {
  const is = printer("Voron", "moonraker", "", idle("moonraker", "Voron 2.4"), { tags: ["abs"] });
  const draft = draftOf(is);
  expect(changeOf(is, draft)).toEqual({});
  expect(
    changeOf(is, { ...draft, title: "Big", tags: "abs, big,", clears_itself: true, port: "7126" }),
  ).toEqual({
    title: "Big",
    port: 7126,
    tags: ["abs", "big"],
    settings: { keep_from_queue: false, clears_itself: true },
  });
  expect(changeOf(is, { ...draft, secret: "new" })).toEqual({ secret: "new" });
});

test("tags", () => expect(tagsOf(" a, b,,a ,")).toEqual(["a", "b"]));
