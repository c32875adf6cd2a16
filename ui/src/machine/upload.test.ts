import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { laser } from "../../e2e/machines";
import { Trouble } from "../api";
import type { Job } from "./api";
import { upload, type Step, type Store } from "./upload";

const MIB = 1024 * 1024;
const bytes = new Uint8Array(2.5 * MIB).map((_, i) => (i * 7) & 0xff);
const file = new File([bytes], "sign.gcode");
const sha256 = createHash("sha256").update(bytes).digest("hex");

class Hub implements Store {
  job: Job | null = null;
  got: Uint8Array[] = [];
  silent = 0;
  /** The answer is lost after the piece has arrived. */
  lose = false;

  jobs = async () => (this.job ? [this.job] : []);
  create: Store["create"] = async (fresh) => {
    const made = laser().job;
    if (!made) throw new Error("the laser has a job");
    this.job = { ...made, ...fresh, id: 8, state: "uploading", received_bytes: 0 };
    return this.job;
  };
  put: Store["put"] = async (_id, offset, piece) => {
    if (!this.job) throw new Error("there is none");
    if (this.silent > 0) {
      this.silent -= 1;
      throw new Trouble("silent", "", null);
    }
    expect(offset).toBe(this.job.received_bytes);
    this.got.push(new Uint8Array(await piece.arrayBuffer()));
    this.job = { ...this.job, received_bytes: offset + piece.size };
    if (this.lose) {
      this.lose = false;
      throw new Trouble("silent", "", null);
    }
    return this.job;
  };
  whole = () => createHash("sha256").update(Buffer.concat(this.got)).digest("hex");
}

const options = (steps: Step[] = []) => ({
  on_loss: "continue" as const,
  step: (step: Step) => void steps.push(step),
  signal: new AbortController().signal,
  wait: async () => {},
});

test("a file arrives whole, with its hash, in pieces", async () => {
  const hub = new Hub();
  const steps: Step[] = [];
  const job = await upload(file, hub, options(steps));
  expect([job.sha256, job.received_bytes, hub.whole()]).toEqual([sha256, bytes.length, sha256]);
  expect(hub.got.map((piece) => piece.length)).toEqual([MIB, MIB, MIB / 2]);
  expect(steps.at(-1)).toEqual({ is: "sending", done: bytes.length, of: bytes.length });
});

test("it waits while the hub is silent, and goes on where the hub is", async () => {
  const hub = new Hub();
  [hub.silent, hub.lose] = [2, true];
  const steps: Step[] = [];
  await upload(file, hub, options(steps));
  expect(hub.whole()).toBe(sha256);
  expect(steps.filter((step) => step.is === "waiting")).toHaveLength(3);
});

test("a part that the hub has is not sent again", async () => {
  const hub = new Hub();
  await hub.create({ name: "old", bytes: bytes.length, sha256, on_loss: "hold" });
  if (hub.job) hub.job.received_bytes = 2 * MIB;
  await upload(file, hub, options());
  expect(hub.got.map((piece) => piece.length)).toEqual([MIB / 2]);
});

test("a refusal is told, and what is called off ends", async () => {
  const hub = new Hub();
  hub.create = async () => Promise.reject(new Trouble("refused", "no", null));
  await expect(upload(file, hub, options())).rejects.toThrow("no");
  await expect(
    upload(file, new Hub(), { ...options(), signal: AbortSignal.abort() }),
  ).rejects.toThrow(/abort/i);
});
