import { expect, test } from "vitest";
import { peerShop, shopWorld } from "../../e2e/shop_world";
import { arrange, bedInTheWay, can, everything, standOf, type Filter, type Row } from "./stand";

const rows = (): Row[] => [
  ...shopWorld().printers.map((printer) => ({ key: `desk/${printer.id}`, hub: "desk", printer })),
  ...peerShop().printers.map((printer) => ({ key: `garage/${printer.id}`, hub: "garage", printer })),
];
const titles = (filter: Partial<Filter>) =>
  arrange(rows(), { ...everything, ...filter }).shown.map(({ printer }) => printer.title);
const named = (title: string) => {
  const found = rows().find(({ printer }) => printer.title === title);
  if (!found) throw new Error(title);
  return found.printer;
};

test("who needs attention comes first, who is off last", () => {
  expect(titles({})).toEqual([
    "A1 right", "MK4 two", "Ender", "A1 left", "Garage Mini", "MK4 one", "P1S", "Voron 2.4",
    "CORE One", "Old Mini",
  ]);
});

test("words are found in name, model, place, job, tags, hub and address, all of them", () => {
  expect(titles({ text: "rack B  mk4" })).toEqual(["MK4 two", "MK4 one"]);
  expect(titles({ text: "LAMP" })).toEqual(["A1 left"]);
  expect(titles({ text: "garage whistle" })).toEqual(["Garage Mini"]);
  expect(titles({ text: "nothing" })).toEqual([]);
});

test("filters narrow, and counts stay those of all stands", () => {
  const { shown, counts } = arrange(rows(), { ...everything, tag: "petg", stand: "paused" });
  expect(shown.map(({ printer }) => printer.title)).toEqual(["MK4 two"]);
  expect(counts).toMatchObject({ all: 2, paused: 1, printing: 1, free: 0 });
  expect(titles({ hub: "garage" })).toEqual(["Garage Mini"]);
});

test("who is done soonest comes first, names count as people count", () => {
  expect(titles({ order: "remaining" }).slice(0, 3)).toEqual(["P1S", "MK4 two", "A1 left"]);
  const many = [2, 10, 1].map((n): Row => {
    const printer = { ...named("P1S"), id: `p${n}`, title: `P ${n}` };
    return { key: `desk/p${n}`, hub: "desk", printer };
  });
  const { shown } = arrange(many, { ...everything, order: "name" });
  expect(shown.map(({ printer }) => printer.title)).toEqual(["P 1", "P 2", "P 10"]);
});

test("stands", () => {
  const offline = named("CORE One");
  expect(standOf(offline)).toBe("away");
  expect(standOf({ ...named("A1 left"), enabled: false })).toBe("off");
  const fault = { severity: "fatal" as const, code: "", text: "hot" };
  const { state } = named("A1 left");
  expect(standOf({ ...named("A1 left"), state: { ...state!, faults: [fault] } })).toBe("attention");
  expect(standOf({ ...named("A1 left"), health: { link: "elsewhere", since_us: 0, tries: 0 } })).toBe(
    "printing",
  );
});

test("nothing can be asked of one that is away or read-only", () => {
  expect(can(named("A1 left"), "pause")).toBe(true);
  expect(can(named("P1S"), "pause")).toBe(false);
  expect(can(named("MK4 one"), "light")).toBe(false);
  expect(can(named("CORE One"), "pause")).toBe(false);
});

test("a bed is in the way when nothing prints on it", () => {
  expect(bedInTheWay(named("Ender"))).toBe(true);
  expect(bedInTheWay({ ...named("A1 left"), bed_clear: false })).toBe(false);
});
