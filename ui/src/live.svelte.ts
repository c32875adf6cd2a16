/** The one live view of the hub: drives `store` with the feed and with what a person does. */
import * as api from "./api";
import { Feed } from "./feed";
import { nothing, reduce, type Action, type Problem, type Task, type View } from "./store";
import { t } from "./text/index.svelte";

type Outcome<T> = { value: T; problem: null } | { value: null; problem: Problem };

let view = $state.raw<View>(nothing);
let quiet: ReturnType<typeof setTimeout> | undefined;
let toasts = 0;

export const live = {
  get view() {
    return view;
  },
};

export function dispatch(action: Action): void {
  view = reduce(view, action);
}

/** Connects and stays connected; returns how to stop. */
export function connect(): () => void {
  const feed = new Feed(() => new EventSource("/api/v1/events"), {
    state: (state) => dispatch({ type: "state", state }),
    rates: (rates) => {
      dispatch({ type: "rates", rates });
      clearTimeout(quiet);
      quiet = setTimeout(() => dispatch({ type: "quiet" }), RATES_STALE_MS);
    },
    link: (up) => dispatch({ type: "link", live: up }),
  });
  const nudge = () => document.visibilityState === "visible" && feed.nudge();
  addEventListener("online", nudge);
  document.addEventListener("visibilitychange", nudge);
  feed.start();
  return () => {
    removeEventListener("online", nudge);
    document.removeEventListener("visibilitychange", nudge);
    feed.stop();
  };
}

/** Runs what a person asked of one device; its failure stays beside that device. */
export async function run(
  address: string,
  task: Task,
  work: () => Promise<unknown>,
): Promise<boolean> {
  dispatch({ type: "begin", address, task });
  try {
    await work();
    dispatch({ type: "done", address });
    return true;
  } catch (error) {
    dispatch({ type: "failed", address, problem: problemOf(error) });
    return false;
  }
}

export function toast(tone: "good" | "bad", title: string, problem: Problem | null = null): void {
  toasts += 1;
  const id = toasts;
  dispatch({ type: "toast", toast: { id, tone, title, problem } });
  // Good news may go by itself; trouble stays until it is read.
  if (tone === "good") setTimeout(() => dispatch({ type: "untoast", id }), TOAST_MS);
}

/** Runs what a person asked of a peer or of the hub; whoever asked shows the problem. */
export async function attempt<T>(work: () => Promise<T>): Promise<Outcome<T>> {
  try {
    return { value: await work(), problem: null };
  } catch (error) {
    return { value: null, problem: problemOf(error) };
  }
}

export function problemOf(error: unknown): Problem {
  if (!(error instanceof api.Trouble)) throw error;
  if (error.code === "silent") {
    return { message: t("unreachable"), hint: t("unreachable_hint") };
  }
  return { message: error.message, hint: error.hint };
}

/** The hub sends rates once a second while something runs; two missed means it stopped. */
const RATES_STALE_MS = 2500;
const TOAST_MS = 5000;
