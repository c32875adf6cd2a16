/** Brings a file to the hub, piece by piece, and goes on where it ended. */
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";
import { Trouble } from "../api";
import { waitMs } from "../feed";
import type { Job, NewJob, OnLoss } from "./api";

export type Store = {
  jobs(): Promise<Job[]>;
  create(job: NewJob): Promise<Job>;
  put(id: number, offset: number, bytes: Blob, more?: RequestInit): Promise<Job>;
};

export type Step =
  | { is: "reading" | "sending"; done: number; of: number }
  | { is: "waiting"; done: number; of: number };

type Options = {
  on_loss: OnLoss;
  step: (step: Step) => void;
  signal: AbortSignal;
  wait?: (ms: number) => Promise<void>;
};

/**
 * One call for a new file, and for one of which the hub has a part: its hash tells that. While the
 * hub is silent it waits; a refusal by the hub is thrown.
 */
export async function upload(file: File, store: Store, options: Options): Promise<Job> {
  const { on_loss, signal } = options;
  const hash = await hashOf(file, options);
  const fresh = { name: file.name, bytes: file.size, sha256: hash, on_loss };
  const begin = async () => (await partOf(store, fresh)) ?? (await store.create(fresh));
  let job = await patiently(begin, file, 0, options);
  while (job.received_bytes < file.size) {
    signal.throwIfAborted();
    const from = job.received_bytes;
    options.step({ is: "sending", done: from, of: file.size });
    const piece = file.slice(from, from + PIECE_BYTES);
    let tried = false;
    job = await patiently(
      async () => {
        // After a failure only the hub knows how much of the piece has arrived.
        const at = tried
          ? await store.jobs().then((all) => all.find(({ id }) => id === job.id))
          : job;
        tried = true;
        if (at && at.received_bytes !== from) return at;
        return store.put(job.id, from, piece, { signal });
      },
      file,
      from,
      options,
    );
  }
  options.step({ is: "sending", done: file.size, of: file.size });
  return job;
}

async function partOf(store: Store, { sha256: hash, bytes }: NewJob): Promise<Job | null> {
  const jobs = await store.jobs();
  const same = (job: Job) => job.sha256 === hash && job.bytes === bytes;
  return jobs.find((job) => job.state === "uploading" && same(job)) ?? null;
}

/** Streamed: a long raster need not fit into memory, and a page without TLS has no SubtleCrypto. */
async function hashOf(file: File, { step, signal }: Options): Promise<string> {
  const hash = sha256.create();
  for (let at = 0; at < file.size; at += PIECE_BYTES) {
    signal.throwIfAborted();
    step({ is: "reading", done: at, of: file.size });
    hash.update(new Uint8Array(await file.slice(at, at + PIECE_BYTES).arrayBuffer()));
  }
  return bytesToHex(hash.digest());
}

async function patiently<T>(
  work: () => Promise<T>,
  file: File,
  done: number,
  { step, signal, wait = sleep }: Options,
): Promise<T> {
  for (let tries = 0; ; tries += 1) {
    try {
      return await work();
    } catch (error) {
      signal.throwIfAborted();
      const passing = error instanceof Trouble && PASSING.has(error.code);
      if (!passing) throw error;
      step({ is: "waiting", done, of: file.size });
      await wait(waitMs(tries));
      signal.throwIfAborted();
    }
  }
}

const sleep = (ms: number) => new Promise<void>((done) => setTimeout(done, ms));

/** What goes by itself: the hub, or the hub behind it, is out of reach for now. */
const PASSING = new Set(["silent", "unreachable", "timed_out", "http_502", "http_503", "http_504"]);
/** The hub takes no more at once. */
const PIECE_BYTES = 1024 * 1024;
