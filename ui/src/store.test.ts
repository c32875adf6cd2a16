import { expect, test } from "vitest";
import { device, disk, hubId, world } from "../e2e/world";
import type { State } from "./api";
import {
  elsewhere,
  here,
  hubOf,
  nameOf,
  nothing,
  reduce,
  SAMPLES_MAX,
  standing,
  type Action,
  type View,
} from "./store";

const after = (...actions: Action[]): View => actions.reduce(reduce, nothing);
const rate = (address: string, value: number): Action => ({
  type: "rates",
  rates: {
    devices: [
      {
        address,
        side: "serve",
        in_bytes_per_s: value,
        out_bytes_per_s: 0,
        urbs_per_s: 1,
        errors: 0,
      },
    ],
  },
});

test("a state replaces the last one; nothing is merged", () => {
  const view = after(
    { type: "state", state: world() },
    { type: "state", state: { ...world(), devices: [] } },
  );
  expect(view.state?.devices).toEqual([]);
});

test("rates become a trace of at most a minute", () => {
  const view = after(...Array.from({ length: 70 }, (_, i) => rate("desk/scratch-disk", i)));
  const samples = view.traces["desk/scratch-disk"]?.samples ?? [];
  expect(samples).toHaveLength(SAMPLES_MAX);
  expect(samples.at(-1)?.in_bytes_per_s).toBe(69);
});

test("a device that stops, a silent hub and a lost link have no trace", () => {
  const running = [{ type: "state", state: world() } as const, rate("desk/scratch-disk", 5)];
  expect(Object.keys(after(...running).traces)).toEqual(["desk/scratch-disk"]);
  const stopped: State = {
    ...world(),
    devices: world().devices.map((d) => ({ ...d, state: "free" })),
  };
  expect(after(...running, { type: "state", state: stopped }).traces).toEqual({});
  expect(after(...running, rate("other/thing", 1)).traces["desk/scratch-disk"]).toBeUndefined();
  expect(after(...running, { type: "quiet" }).traces).toEqual({});
  expect(after(...running, { type: "link", live: false }).traces).toEqual({});
});

test("a task begins, fails beside its device, is forgiven", () => {
  const address = "garage/laser";
  const problem = { message: "no", hint: "try" };
  const begun = after(
    { type: "failed", address, problem },
    { type: "begin", address, task: "attach" },
  );
  expect(begun.tasks).toEqual({ [address]: "attach" });
  expect(begun.problems).toEqual({});
  const failed = reduce(begun, { type: "failed", address, problem });
  expect(failed.tasks).toEqual({});
  expect(failed.problems).toEqual({ [address]: problem });
  expect(reduce(failed, { type: "forgive", address }).problems).toEqual({});
  expect(reduce(begun, { type: "done", address }).tasks).toEqual({});
});

test("toasts: the oldest goes when there are too many", () => {
  const view = after(
    ...[1, 2, 3, 4, 5].map((id): Action => ({
      type: "toast",
      toast: { id, tone: "good", title: "", problem: null },
    })),
    { type: "untoast", id: 3 },
  );
  expect(view.toasts.map((toast) => toast.id)).toEqual([2, 4, 5]);
});

test("ours are here by name, the others by hub with those online first", () => {
  const state = world();
  expect(here(state).map((d) => d.name)).toEqual(["a1-left", "echo-port", "engraver", "headset", "jtag", "scratch-disk"]);
  expect(elsewhere(state).map((g) => g.hub)).toEqual(["garage", "lab-berlin", "attic"]);
});

test("an attachment without a device in sight is not forgotten", () => {
  const state = world();
  expect(
    elsewhere(state)
      .at(-1)
      ?.lost.map((a) => a.address),
  ).toEqual(["attic/scanner"]);
  state.peers = state.peers.filter((peer) => peer.name !== "attic");
  expect(elsewhere(state).at(-1)).toMatchObject({ hub: "attic", peer: null });
});

test("what we do with a device comes before what its hub says", () => {
  const photos = device("garage", "photos", disk("a", "b", 1, 2), { state: { in_use: "desk" } });
  const attachment = world().attachments[0] ?? expect.fail("nothing is attached");
  expect(standing(photos, attachment)).toEqual({ is: "attached" });
  expect(standing(photos, undefined)).toEqual({ is: "in_use", by: "desk" });
  const usbip = { ...attachment, via: "usbip" as const, state: "connecting" as const };
  expect(standing(photos, { ...usbip, place: null })).toEqual({ is: "connecting" });
  expect(standing(photos, { ...usbip, place: "usbip attach" })).toEqual({ is: "fetch" });
  expect(standing({ ...photos, state: "absent" }, undefined)).toEqual({ is: "absent" });
  expect(standing({ ...photos, state: "free" }, undefined)).toEqual({ is: "free" });
  expect(standing({ ...photos, state: "free", local: true, shared: false }, undefined)).toEqual({
    is: "private",
  });
});

test("addresses", () => {
  expect([hubOf("garage/disk"), nameOf("garage/disk"), hubOf("odd"), nameOf("odd")]).toEqual([
    "garage",
    "disk",
    "",
    "odd",
  ]);
  expect(hubId("desk")).toMatch(/^[0-9a-f]{64}$/);
});
