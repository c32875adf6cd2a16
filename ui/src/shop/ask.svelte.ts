/** What was asked of a hub: the newest answer counts, and the last one is shown until then. */
import { attempt } from "../live.svelte";
import type { Problem } from "../store";

export class Answer<T> {
  value = $state.raw<T | null>(null);
  problem = $state.raw<Problem | null>(null);
  busy = $state(false);
  #asked = 0;

  async ask(work: () => Promise<T>): Promise<T | null> {
    this.#asked += 1;
    const mine = this.#asked;
    this.busy = true;
    const { value, problem } = await attempt(work);
    if (mine !== this.#asked) return null;
    this.busy = false;
    this.problem = problem;
    if (problem === null) this.value = value;
    return value;
  }

  /** Somebody else is asked from now on: what is known, and what may still come, is not theirs. */
  forget(): void {
    this.#asked += 1;
    [this.value, this.problem, this.busy] = [null, null, false];
  }
}

/** Does it once, when nobody has asked for a moment. */
export class Soon {
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly wait_ms = 250) {}

  do(work: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(work, this.wait_ms);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}
