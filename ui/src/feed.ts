/**
 * The hub's live updates: one `EventSource`, reopened by us after any error.
 *
 * The browser's own reconnecting differs between browsers and stops for good on an HTTP error
 * (a hub that restarts behind a proxy), so that ours is the only one: close, wait, open.
 * The hub sends the whole state first, hence nothing has to be caught up on.
 */

export type Source = {
  addEventListener(type: string, listener: (event: Event) => void): void;
  close(): void;
};

/** What to do with each event. The first is the whole state: with it the link lives. */
export type Listener = {
  events: Record<string, (data: never) => void>;
  link(live: boolean): void;
};

export class Feed {
  #source: Source | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #tries = 0;

  constructor(
    private readonly open: () => Source,
    private readonly listener: Listener,
  ) {}

  /** Opens now, also when a wait is under way (the tab came back, the network came back). */
  start(): void {
    this.stop();
    const source = this.open();
    this.#source = source;
    Object.entries(this.listener.events).forEach(([type, heard], index) => {
      source.addEventListener(type, (event) => {
        if (index === 0) {
          this.#tries = 0;
          this.listener.link(true);
        }
        heard(parse(event) as never);
      });
    });
    source.addEventListener("error", () => this.#lost(source));
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
  }

  /** Starts only if the link is down: what `online` and a tab shown again call. */
  nudge(): void {
    if (this.#source === null) this.start();
  }

  #lost(source: Source): void {
    if (this.#source !== source) return;
    this.stop();
    this.listener.link(false);
    this.#timer = setTimeout(() => this.start(), waitMs(this.#tries));
    this.#tries += 1;
  }
}

/** Half a second, doubling, at most eight: a restarted hub is back on the screen in seconds. */
export const waitMs = (tries: number) => Math.min(500 * 2 ** tries, 8000);

const parse = (event: Event) => JSON.parse((event as MessageEvent<string>).data);
