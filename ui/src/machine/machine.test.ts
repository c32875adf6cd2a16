import { expect, test } from "vitest";
import { laser } from "../../e2e/machines";
import type { Job, Machine } from "./api";
import { coordinate, extentOf, shortly } from "./format";
import { heardNothing, listen } from "./heard";
import { hashOf, whereFrom } from "./route";
import { barred, hasRest, newest, proof, restFrom, reduce, stale, unknown, type Action } from "./store";

const machine = (edit: (machine: Machine) => void = () => {}): Machine => {
  const made = laser();
  edit(made);
  return made;
};
const after = (...actions: Action[]) => actions.reduce(reduce, unknown);
const at = (at_ms: number, edit?: (machine: Machine) => void): Action => ({
  type: "machine",
  machine: machine(edit),
  at_ms,
});

test("the address names a machine, and only a machine", () => {
  expect(whereFrom("#/machine/garage/laser")).toEqual({ hub: "garage", name: "laser" });
  const odd = { hub: "my hub", name: "a/b" };
  expect(whereFrom(hashOf(odd))).toEqual(odd);
  for (const hash of ["", "#devices", "#/machine/garage", "#/machine/a/b/c", "#/machine/%/b"])
    expect(whereFrom(hash), hash).toBeNull();
});

test("what is shown is old after three seconds without news, whoever is silent", () => {
  const view = after(at(1000));
  expect(stale(view, 3999)).toBeNull();
  expect(stale(view, 4000)).toEqual({ why: "hub", s: 3, text: "" });
  // The hub talks, but the controller says nothing.
  expect(stale(reduce(view, at(5000)), 5000)).toEqual({ why: "machine", s: 4, text: "" });
  const spoke = at(5000, ({ state }) => (state.counters.received += 1));
  expect(stale(reduce(view, spoke), 5000)).toBeNull();
  const closed = at(1500, ({ state }) => (state.port = { closed: { why: "unplugged" } }));
  expect(stale(reduce(view, closed), 1600)).toMatchObject({ why: "port", text: "unplugged" });
});

test("a Marlin board that is not asked all the time may be silent", () => {
  const marlin = (at_ms: number) => at(at_ms, ({ state }) => (state.profile = "marlin"));
  expect(stale(after(marlin(0), marlin(9000)), 9000)).toBeNull();
});

test("the stop path is proven by its last test, and broken when two are missed", () => {
  expect(proof(after(at(0)), 0)).toEqual({ is: "broken" });
  const tested = after(at(0), { type: "tested", at_ms: 100, took_ms: 4 });
  expect(proof(tested, 100)).toEqual({ is: "proven", took_ms: 4, age_s: 0 });
  expect(proof(tested, 2200)).toEqual({ is: "proven", took_ms: 4, age_s: 2 });
  expect(proof(tested, 3000)).toEqual({ is: "broken" });
  const talks = reduce(tested, at(11_000));
  expect(proof(talks, 11_099)).toMatchObject({ is: "proven" });
  expect(proof(talks, 11_100)).toEqual({ is: "broken" });
});

test("who may not send lines, and why", () => {
  const why = (edit: (machine: Machine) => void) => barred(after(at(0, edit)), 0);
  expect(why(() => {})).toBeNull();
  expect(why((m) => (m.role = "view"))).toEqual({ is: "role" });
  expect(why((m) => (m.state.user = "desk"))).toEqual({ is: "user", who: "desk" });
  expect(why((m) => (m.state.port = { closed: { why: "" } }))).toEqual({ is: "port" });
  expect(barred(after(at(0)), 3000)).toEqual({ is: "link" });
});

test("an alarm is known by its number until the machine is calm again", () => {
  const said: Action = { type: "output", text: "ALARM:1\r\n", missed: false, at_ms: 1 };
  const alarm = at(2, ({ state }) => state.status && (state.status.state = "alarm"));
  expect(after(at(0), said, alarm).heard.alarm).toBe(1);
  expect(after(at(0), said, alarm, at(3)).heard.alarm).toBeNull();
});

test("lines tell errors, travel and temperatures", () => {
  const heard = listen(
    heardNothing,
    ["error:20", "$130=400.000", "$131=410.000", "ok T:199.6 /200.0 B:60.1 /60.0 @:70"].map(
      (text, id) => ({ id, kind: "machine" as const, text }),
    ),
  );
  expect(heard.error).toEqual({ code: 20, line: 0 });
  expect(heard.travel).toEqual([400, 410, null]);
  expect(heard.heat).toEqual({ hotend: 199.6, wanted: 200, bed: 60.1, bed_wanted: 60 });
  const own = { id: 9, kind: "own" as const, text: "ALARM:3" };
  expect(listen(heard, [own])).toBe(heard);
});

test("the running job is as the news have it", () => {
  const { job } = laser();
  if (!job) throw new Error("the laser runs one");
  expect(newest([{ ...job, line: 1 }], job)).toEqual([job]);
  expect(newest([], job)).toEqual([job]);
  expect(newest([job], null)).toEqual([job]);
});

test("what was cut short has a rest, on a machine that can go on in the middle", () => {
  const machine = laser();
  const job: Job = { ...machine.job!, state: "aborted", line: 400, lines: 1200 };
  expect(hasRest(job, machine)).toBe(true);
  expect(restFrom(job)).toBe(350);
  expect(restFrom({ ...job, line: 9 })).toBe(2);
  expect(hasRest({ ...job, state: "done" }, machine)).toBe(false);
  expect(hasRest({ ...job, line: 0 }, machine)).toBe(false);
  machine.state.profile = "marlin";
  expect(hasRest(job, machine)).toBe(false);
});

test("numbers are as wide as they are, and in the language", () => {
  expect(coordinate("en", -0.0001)).toBe("0.000");
  expect(coordinate("de", -1234.5)).toBe("-1234,500");
  expect(extentOf("de", { min: [0, -1.25, 0], max: [120.4, 8, 0] })).toBe("120,4 × 9,3 mm");
  expect(shortly("en", 0.42)).toBe("0.4 ms");
  expect(shortly("en", 13.6)).toBe("14 ms");
  expect(shortly("de", 1240)).toBe("1,2 s");
});
