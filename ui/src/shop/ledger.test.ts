import { expect, test } from "vitest";
import { diff } from "../../e2e/mock_shop";
import { idle, printer, printing } from "../../e2e/shop_world";
import type { Printer } from "./api";
import { Ledger } from "./ledger";

const one = () => printer("One", "bambu", "A1", printing("bambu", "A1", "a.3mf", 10));
const two = () => printer("Two", "prusalink", "MK4", idle("prusalink", "MK4"));

function known(...printers: Printer[]): Ledger {
  const ledger = new Ledger();
  ledger.snapshot({ printers, count: 7 });
  ledger.take();
  return ledger;
}

test("a patch changes the one, and the other stays the same object", () => {
  const [a, b] = [one(), two()];
  const ledger = known(a, b);
  const patch = { state: { job: { progress_percent: 11 }, speed_percent: null } };
  ledger.changes({ count: 8, printers: { [a.id]: patch } });
  expect(ledger.take()).toEqual([a.id]);
  expect(ledger.take()).toEqual([]);
  expect(ledger.printers.get(a.id)?.state?.job?.progress_percent).toBe(11);
  expect(ledger.printers.get(a.id)?.state?.job?.name).toBe("a.3mf");
  expect("speed_percent" in (ledger.printers.get(a.id)?.state ?? {})).toBe(false);
  expect(ledger.printers.get(b.id)).toBe(b);
});

test("printers come and go", () => {
  const [a, b] = [one(), two()];
  const ledger = known(a);
  ledger.changes({ count: 8, printers: { [b.id]: b, [a.id]: null } });
  expect([...ledger.printers.keys()]).toEqual([b.id]);
  expect(ledger.take().sort()).toEqual([a.id, b.id].sort());
});

test("what is older than the look is left out, numbers may be missing", () => {
  const a = one();
  const ledger = known(a);
  const phase = (word: string) => ({ [a.id]: { state: { phase: word } } });
  ledger.changes({ count: 7, printers: phase("failed") });
  expect(ledger.printers.get(a.id)?.state?.phase).toBe("printing");
  ledger.changes({ count: 12, printers: phase("paused") });
  expect(ledger.printers.get(a.id)?.state?.phase).toBe("paused");
  const blind = new Ledger();
  blind.changes({ count: 1, printers: phase("paused") });
  expect(blind.printers.size, "before any look").toBe(0);
});

test("a new look keeps what is as it was, and drops who is gone", () => {
  const [a, b] = [one(), two()];
  const ledger = known(a, b);
  ledger.snapshot({ printers: [structuredClone(a)], count: 3 });
  expect(ledger.printers.get(a.id)).toBe(a);
  expect(ledger.take()).toEqual([b.id]);
  ledger.changes({ count: 4, printers: { [a.id]: { enabled: false } } });
  expect(ledger.printers.get(a.id)?.enabled).toBe(false);
});

test("the mock's patches make the one of the other", () => {
  const a = one();
  const after = structuredClone(a);
  after.state = idle("bambu", "A1");
  after.tags = ["x"];
  delete after.job_id;
  const ledger = known(a);
  ledger.changes({ count: 8, printers: { [a.id]: diff(a, after) } });
  expect(ledger.printers.get(a.id)).toEqual(after);
});
