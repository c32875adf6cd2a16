/** One live machine: joins its feed, what a person does with it, and `store`. */
import type { Where } from "./route";
import { Feed } from "../feed";
import { attempt } from "../live.svelte";
import type { Problem } from "../store";
import { stopMachine, testStop, type Machine, MachineApi, type Stopped } from "./api";
import { reduce, STALE_MS, unknown, type Action, type MachineView } from "./store";

/** A press of STOP: under way since, or what came of it. */
export type Press = { since_ms: number; outcome: Stopped | Problem | null };

export class MachineLive {
  readonly api: MachineApi;
  view = $state.raw<MachineView>(unknown);
  now_ms = $state(performance.now());
  press = $state.raw<Press | null>(null);
  problem = $state.raw<Problem | null>(null);
  busy = $state(false);
  /** Why nothing is to be seen of it, where its hub says so. */
  trouble = $state.raw<Problem | null>(null);
  #feed: Feed;
  #asking = false;
  #presses = 0;

  constructor(
    readonly where: Where,
    own: boolean,
  ) {
    this.api = new MachineApi(where, own);
    this.#feed = new Feed(() => new EventSource(this.api.events), {
      events: {
        machine: (machine: Machine) =>
          this.dispatch({ type: "machine", machine, at_ms: performance.now() }),
        output: ({ text, missed }: { text: string; missed: boolean }) =>
          this.dispatch({ type: "output", text, missed, at_ms: performance.now() }),
      },
      link: (up) => {
        this.dispatch({ type: "link", live: up });
        if (up) this.trouble = null;
        // An `EventSource` does not tell why.
        else void this.#why();
      },
    });
  }

  dispatch(action: Action): void {
    this.view = reduce(this.view, action);
  }

  /** Connects and stays connected; returns how to stop. */
  connect(): () => void {
    const nudge = () => document.visibilityState === "visible" && this.#feed.nudge();
    const timer = setInterval(() => this.#tick(), TICK_MS);
    const tests = setInterval(() => void this.#test(), TEST_MS);
    void this.#test();
    addEventListener("online", nudge);
    document.addEventListener("visibilitychange", nudge);
    this.#feed.start();
    return () => {
      clearInterval(timer);
      clearInterval(tests);
      removeEventListener("online", nudge);
      document.removeEventListener("visibilitychange", nudge);
      this.#feed.stop();
    };
  }

  /** A machine that changes nothing makes no news, so that silence is asked about. */
  #tick(): void {
    this.now_ms = performance.now();
    const { news_ms, link } = this.view;
    if (this.#asking || link !== "live" || news_ms === null) return;
    if (this.now_ms - news_ms >= ASK_MS) void this.#ask();
  }

  async #ask(): Promise<void> {
    this.#asking = true;
    const { value } = await attempt(() => this.api.get({ signal: AbortSignal.timeout(STALE_MS) }));
    this.#asking = false;
    if (value) this.dispatch({ type: "machine", machine: value, at_ms: performance.now() });
    // The stream says nothing and the hub does not answer: begin anew.
    else this.#feed.start();
  }

  /** From this page to whatever would stop the machine, and back. */
  async #test(): Promise<void> {
    const at_ms = performance.now();
    const signal = AbortSignal.timeout(TEST_MS);
    const { problem } = await attempt(() => testStop(this.where, { signal }));
    const took_ms = performance.now() - at_ms;
    if (problem === null) this.dispatch({ type: "tested", at_ms, took_ms });
  }

  async #why(): Promise<void> {
    const { problem } = await attempt(() => this.api.get());
    if (this.view.link === "lost") this.trouble = problem;
  }

  /** Each press is sent, whatever came of those before. */
  async stop(): Promise<void> {
    this.#presses += 1;
    const number = this.#presses;
    this.press = { since_ms: performance.now(), outcome: null };
    this.now_ms = performance.now();
    const { value, problem } = await attempt(() => stopMachine(this.where));
    if (number === this.#presses) this.press = { ...this.press, outcome: value ?? problem };
  }

  /** Runs what a person asked of it; its failure is shown on the page. */
  async do(work: () => Promise<unknown>): Promise<boolean> {
    this.busy = true;
    const { problem } = await attempt(work);
    this.busy = false;
    this.problem = problem;
    return problem === null;
  }
}

const TICK_MS = 250;
const ASK_MS = 2000;
const TEST_MS = 5000;
