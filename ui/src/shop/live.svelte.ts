/**
 * The printers of this hub and of its peers, live. What arrives within one frame is shown at once,
 * and each printer is a cell of its own: one that changes is drawn again, the others are not.
 */
import * as hubApi from "../api";
import { Feed } from "../feed";
import { attempt, toast } from "../live.svelte";
import type { Problem } from "../store";
import { t } from "../text/index.svelte";
import { ShopApi, type Changes, type Job, type Printer, type Snapshot } from "./api";
import { Ledger } from "./ledger";
import type { Row } from "./stand";

export type News =
  | { what: "job"; hub: string; job: Job }
  | { what: "files"; hub: string; place: string | null }
  | { what: "queue" | "channels" | "all"; hub: string };

/** One printer, and what a person is doing with it. */
export class Cell implements Row {
  readonly key: string;
  printer = $state.raw({} as Printer);
  /** What a person asked and the hub has not answered yet. */
  task = $state<string | null>(null);
  problem = $state.raw<Problem | null>(null);

  constructor(
    readonly shop: HubShop,
    printer: Printer,
  ) {
    this.key = `${shop.hub}/${printer.id}`;
    this.printer = printer;
  }

  get hub(): string {
    return this.shop.hub;
  }

  /** Its failure stays beside the printer. */
  async do(task: string, work: (api: ShopApi, id: string) => Promise<unknown>): Promise<boolean> {
    if (this.task !== null) return false;
    this.task = task;
    const { problem } = await attempt(() => work(this.shop.api, this.printer.id));
    this.task = null;
    this.problem = problem;
    return problem === null;
  }
}

/** `absent`: that hub knows of no printers at all. */
type HubLink = "connecting" | "live" | "lost" | "absent";

/** The shop of one hub. */
export class HubShop {
  readonly api: ShopApi;
  readonly ledger = new Ledger();
  link = $state<HubLink>("connecting");
  problem = $state.raw<Problem | null>(null);
  /** Which printers it has was told, and can be looked at. */
  known = $state(false);
  #feed: Feed | null = null;
  #poll: ReturnType<typeof setInterval> | undefined;
  #asking = false;
  #polls = 0;
  #told = false;

  constructor(
    readonly hub: string,
    readonly own: boolean,
  ) {
    this.api = new ShopApi(hub, own);
  }

  /**
   * `poll` where no further stream may be open: a browser has six connections to a hub that
   * speaks HTTP/1.1, for all its windows, and a command (or STOP) must find one that is free.
   */
  start(poll: boolean): void {
    if (this.link === "absent" || (poll ? this.#poll !== undefined : this.#feed !== null)) return;
    this.stop();
    if (poll) {
      this.#poll = setInterval(() => void this.#ask(), POLL_MS);
      return void this.#ask();
    }
    const feed = new Feed(() => new EventSource(this.api.events), {
      events: {
        printers: (all: Snapshot) => this.#look(all),
        changes: (some: Changes) => this.#patch(some),
        job: (job: Job) => tell({ what: "job", hub: this.hub, job }),
        files: ({ place }: { place?: string }) =>
          tell({ what: "files", hub: this.hub, place: place ?? null }),
        queue: () => tell({ what: "queue", hub: this.hub }),
        channels: () => tell({ what: "channels", hub: this.hub }),
      },
      link: (up) => (up ? this.#found() : void this.#why()),
    });
    this.#feed = feed;
    feed.start();
  }

  stop(): void {
    clearInterval(this.#poll);
    this.#poll = undefined;
    this.#feed?.stop();
    this.#feed = null;
  }

  nudge(): void {
    this.#feed?.nudge();
  }

  #look(all: Snapshot): void {
    this.ledger.snapshot(all);
    this.#told = true;
    paintSoon();
  }

  #patch(some: Changes): void {
    this.ledger.changes(some);
    paintSoon();
  }

  #found(): void {
    const again = this.link === "lost";
    this.link = "live";
    this.problem = null;
    if (again) tell({ what: "all", hub: this.hub });
  }

  async #ask(): Promise<void> {
    if (this.#asking) return;
    this.#asking = true;
    const { value, problem } = await attempt(this.api.printers);
    this.#asking = false;
    if (this.#poll === undefined) return;
    if (!value) return this.#lose(problem);
    this.#polls += 1;
    const again = this.link === "lost";
    this.#look({ printers: value, count: this.#polls });
    this.#found();
    // What changed with its printers may have changed its lists too; there is no news of that.
    if (this.ledger.fresh && !again) tell({ what: "all", hub: this.hub });
  }

  /** An `EventSource` does not tell why. */
  async #why(): Promise<void> {
    if (this.link === "live") this.link = "lost";
    try {
      await this.api.printers();
    } catch (error) {
      if (!(error instanceof hubApi.Trouble)) throw error;
      // A hub that knows of no shop knows no such path.
      const absent = ["not_found", "http_404"].includes(error.code) && this.ledger.printers.size === 0;
      if (absent) {
        this.link = "absent";
        return this.stop();
      }
      const { problem } = await attempt(() => Promise.reject(error));
      if (problem) this.#lose(problem);
    }
  }

  /** What was told is in the cells now. */
  painted(): void {
    this.known = this.#told;
  }

  #lose(problem: Problem): void {
    this.link = "lost";
    this.problem = problem;
  }
}

let shops = $state.raw<HubShop[]>([]);
let cells = $state.raw<Map<string, Cell>>(new Map());
/** Counts the frames in which anything changed. */
let frame = $state(0);
let now_ms = $state(Date.now());
const ears = new Set<(news: News) => void>();
let waiting = false;

export const shop = {
  get hubs() {
    return shops;
  },
  get cells() {
    return cells;
  },
  get frame() {
    return frame;
  },
  /** For what is said of times; as exact as words are. */
  get now_ms() {
    return now_ms;
  },
  get own(): HubShop | null {
    return shops.find(({ own }) => own) ?? null;
  },
  hub: (name: string): HubShop | null => shops.find(({ hub }) => hub === name) ?? null,
  cell(hub: string, name: string): Cell | null {
    for (const cell of cells.values())
      if (cell.hub === hub && (cell.printer.name === name || cell.printer.id === name)) return cell;
    return null;
  },
  /** What a printer is called, for the ids in jobs, files and queue. */
  title(hub: string, id: string): string | null {
    return cells.get(`${hub}/${id}`)?.printer.title ?? null;
  },
  of: (hub: string): Cell[] => [...cells.values()].filter((cell) => cell.hub === hub),
  /** Those to choose from, by their titles as people count. */
  choices: (hub: string): Printer[] =>
    shop
      .of(hub)
      .map(({ printer }) => printer)
      .sort((a, b) => byTitle.compare(a.title, b.title)),
};

/** Hears of what happens; returns how to stop. */
export function hear(ear: (news: News) => void): () => void {
  ears.add(ear);
  return () => ears.delete(ear);
}

/**
 * Which hubs are watched: this one, and the peers that show printers. One that is out of reach
 * stays as it was last known, one that is no peer any more goes.
 */
export function follow(state: hubApi.State): void {
  const showing = new Set(
    state.devices.flatMap(({ kind, hub, local }) => ("printer" in kind && !local ? [hub] : [])),
  );
  const own = shop.own ?? new HubShop(state.hub.name, true);
  const peers = state.peers.filter(({ name, online }) => online && showing.has(name));
  const next = [own];
  for (const { name } of state.peers) {
    const known = shops.find(({ hub, own }) => hub === name && !own);
    if (known) next.push(known);
    else if (peers.some((peer) => peer.name === name)) next.push(new HubShop(name, false));
  }
  const same = next.length === shops.length && next.every((each, at) => each === shops[at]);
  if (same) return;
  for (const each of shops) if (!next.includes(each)) each.stop();
  shops = next;
  paintSoon();
}

/** Watches them for as long as somebody looks; returns how to stop. */
export function watch(): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const mine = shops;
  const [, peer] = mine;
  let turnOf: AbortController | null = null;
  let give: (() => void) | null = null;
  const start = () => {
    for (const each of mine) each.start(!each.own && !(each === peer && give));
    // One page of the browser has a stream to one peer; the others ask from time to time.
    if (!peer || turnOf || !("locks" in navigator)) return;
    const control = new AbortController();
    turnOf = control;
    const lucky = () => {
      if (control.signal.aborted) return;
      peer.start(false);
      return new Promise<void>((done) => (give = done));
    };
    const { signal } = control;
    // It throws when the page gave up before its turn came: then there is nothing to be done.
    navigator.locks.request("farhub.peer", { signal }, lucky).catch(() => undefined);
  };
  const stop = () => {
    for (const each of mine) each.stop();
    turnOf?.abort();
    give?.();
    [turnOf, give] = [null, null];
  };
  const turn = () => {
    clearTimeout(timer);
    if (document.visibilityState === "hidden") timer = setTimeout(stop, HIDDEN_MS);
    else {
      now_ms = Date.now();
      start();
      for (const each of mine) each.nudge();
    }
  };
  const tick = setInterval(() => (now_ms = Date.now()), TICK_MS);
  addEventListener("online", turn);
  document.addEventListener("visibilitychange", turn);
  turn();
  return () => {
    clearInterval(tick);
    clearTimeout(timer);
    removeEventListener("online", turn);
    document.removeEventListener("visibilitychange", turn);
    stop();
  };
}

function paintSoon(): void {
  if (waiting) return;
  waiting = true;
  // A page that is not shown has no frames.
  if (document.visibilityState === "hidden") setTimeout(paint, 100);
  else requestAnimationFrame(paint);
}

function paint(): void {
  waiting = false;
  let structure = false;
  const next = new Map(cells);
  const kept = new Set(shops);
  for (const [key, cell] of next) {
    if (kept.has(cell.shop)) continue;
    next.delete(key);
    structure = true;
  }
  for (const each of shops) {
    for (const id of each.ledger.take()) {
      const printer = each.ledger.printers.get(id);
      const key = `${each.hub}/${id}`;
      const cell = next.get(key);
      if (printer && cell) cell.printer = printer;
      else if (printer) next.set(key, new Cell(each, printer));
      else next.delete(key);
      structure ||= !printer || !cell;
    }
    each.painted();
  }
  if (structure) cells = next;
  frame += 1;
}

const told = new Set<string>();

function tell(news: News): void {
  for (const ear of ears) ear(news);
  if (news.what !== "job") return;
  const { job } = news;
  if (job.state !== "finished" && job.state !== "failed") return;
  // Told once, and not what a hub learns of the past when it starts.
  const mark = `${job.id} ${job.state}`;
  const old = (job.ended_us ?? 0) / 1000 < Date.now() - OLD_MS;
  if (told.has(mark) || old) return;
  told.add(mark);
  const values = { name: job.name, printer: job.printer };
  if (job.state === "finished") return toast("good", t("shop_toast_finished", values));
  const why = job.reason ? { message: job.reason, hint: null } : null;
  toast("bad", t("shop_toast_failed", values), why);
}

const byTitle = new Intl.Collator(undefined, { numeric: true });
const POLL_MS = 4000;
/** A tab in the background gives its connections to the others. */
const HIDDEN_MS = 30_000;
const TICK_MS = 5000;
const OLD_MS = 10 * 60_000;
