import { expect, test } from "vitest";
import { merge } from "./merge";

/** RFC 7386 appendix A. */
test.each<[unknown, unknown, unknown]>([
  [{ a: "b" }, { a: "c" }, { a: "c" }],
  [{ a: "b" }, { b: "c" }, { a: "b", b: "c" }],
  [{ a: "b" }, { a: null }, {}],
  [{ a: "b", b: "c" }, { a: null }, { b: "c" }],
  [{ a: ["b"] }, { a: "c" }, { a: "c" }],
  [{ a: "c" }, { a: ["b"] }, { a: ["b"] }],
  [{ a: { b: "c" } }, { a: { b: "d", c: null } }, { a: { b: "d" } }],
  [{ a: [{ b: "c" }] }, { a: [1] }, { a: [1] }],
  [["a", "b"], ["c", "d"], ["c", "d"]],
  [{ a: "b" }, ["c"], ["c"]],
  [{ a: "foo" }, null, null],
  [{ a: "foo" }, "bar", "bar"],
  [{ e: null }, { a: 1 }, { e: null, a: 1 }],
  [[1, 2], { a: "b", c: null }, { a: "b" }],
  [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
])("RFC 7386: %j with %j", (target, patch, result) => {
  expect(merge(target, patch)).toEqual(result);
});

test("what a patch leaves alone stays the same object, and nothing is changed in place", () => {
  const target = { kept: { deep: 1 }, state: { phase: "idle", job: { name: "a" } } };
  const next = merge(target, { state: { phase: "printing" } }) as typeof target;
  expect(next.kept).toBe(target.kept);
  expect(next.state.job).toBe(target.state.job);
  expect(target.state.phase).toBe("idle");
  expect(next).not.toBe(target);
});

test("a hostile key is a key", () => {
  const next = merge({}, JSON.parse('{"__proto__":{"bad":true}}')) as Record<string, unknown>;
  expect(({} as Record<string, unknown>).bad).toBeUndefined();
  expect(next.bad).toBeUndefined();
});
