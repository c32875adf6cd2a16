/** The one live view of the hub: drives `store` with the feed and with what a person does. */
import * as api from "./api";
import { Feed } from "./feed";
import { nothing, reduce, type Action, type Problem, type Task, type View } from "./store";
import { t } from "./text/index.svelte";

type Outcome<T> = { value: T; problem: null } | { value: null; problem: Problem };

/** `asking`: the hub has not said yet whether it wants a login. */
type Gate = "asking" | "login" | "open";

let view = $state.raw<View>(nothing);
let gate = $state<Gate>("asking");
let session = $state.raw<api.WebSession | null>(null);
let feed: Feed | undefined;
let quiet: ReturnType<typeof setTimeout> | undefined;
let toasts = 0;

export const live = {
  get view() {
    return view;
  },
  get gate() {
    return gate;
  },
  /** The login that this page has, where the hub asks for one. */
  get session() {
    return session;
  },
};

export function dispatch(action: Action): void {
  view = reduce(view, action);
}

/** Connects and stays connected; returns how to stop. */
export function connect(): () => void {
  const one = new Feed(() => new EventSource("/api/v1/events"), {
    events: {
      state: (state: api.State) => dispatch({ type: "state", state }),
      rates: (rates: api.Rates) => {
        dispatch({ type: "rates", rates });
        clearTimeout(quiet);
        quiet = setTimeout(() => dispatch({ type: "quiet" }), RATES_STALE_MS);
      },
    },
    link: (up) => {
      dispatch({ type: "link", live: up });
      // An `EventSource` does not tell why: perhaps the session is over.
      if (!up) void ask();
    },
  });
  const nudge = () => {
    if (document.visibilityState !== "visible") return;
    if (gate === "open") one.nudge();
    // Another tab may have logged in.
    else void ask();
  };
  addEventListener("online", nudge);
  document.addEventListener("visibilitychange", nudge);
  feed = one;
  void ask();
  return () => {
    removeEventListener("online", nudge);
    document.removeEventListener("visibilitychange", nudge);
    one.stop();
    feed = undefined;
  };
}

/** Asks the hub whether it wants a login first. */
async function ask(): Promise<void> {
  try {
    pass(await api.session());
  } catch (error) {
    if (!(error instanceof api.Trouble)) throw error;
    // It is silent, or too old to know of logins: the feed goes on trying, and shows that.
    if (gate === "asking") open();
  }
}

function pass(answer: api.Login): void {
  session = answer.session;
  if (answer.login !== "needed") return open();
  gate = "login";
  feed?.stop();
}

function open(): void {
  const was = gate;
  gate = "open";
  if (was !== "open") feed?.nudge();
}

/** Logs in; throws the hub's `Trouble`. What was on the page before is there again. */
export async function logIn(password: string): Promise<void> {
  pass(await api.logIn(password));
}

/** Logs out, and forgets all that the page knows. */
export async function logOut(): Promise<void> {
  try {
    await api.logOut();
    location.reload();
  } catch (error) {
    toast("bad", t("logout_failed"), problemOf(error));
  }
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
  if (error.code === "login_needed") void ask();
  if (error.code === "silent") {
    return { message: t("unreachable"), hint: t("unreachable_hint") };
  }
  return { message: error.message, hint: error.hint };
}

/** The hub sends rates once a second while something runs; two missed means it stopped. */
const RATES_STALE_MS = 2500;
const TOAST_MS = 5000;
