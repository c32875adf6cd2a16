/** Files on their way from this page to a hub, and what is to be done with each once it is there. */
import { Trouble } from "../api";
import { problemOf, toast } from "../live.svelte";
import type { Problem } from "../store";
import { t } from "../text/index.svelte";
import type { ShopFile, StartOptions } from "./api";
import type { HubShop } from "./live.svelte";
import { putFile } from "./upload";

/** To a printer, or only into the library. */
export type Goal = { printer: string; start: boolean; options?: StartOptions } | null;

export class Moving {
  sent = $state(0);
  problem = $state.raw<Problem | null>(null);
  #control = new AbortController();

  constructor(
    readonly shop: HubShop,
    readonly file: File,
    readonly goal: Goal,
  ) {}

  get percent(): number {
    return this.file.size === 0 ? 100 : (100 * this.sent) / this.file.size;
  }

  async go(): Promise<ShopFile | null> {
    this.#control = new AbortController();
    [this.problem, this.sent] = [null, 0];
    try {
      const { signal } = this.#control;
      const url = this.shop.api.uploadUrl(this.file.name);
      const file = await putFile(url, this.file, { step: (sent) => (this.sent = sent), signal });
      if (this.goal) await this.shop.api.send(file.id, this.goal);
      drop(this);
      if (!this.goal) toast("good", t("shop_uploaded", { name: file.name }));
      return file;
    } catch (error) {
      if (this.#control.signal.aborted) drop(this);
      else if (error instanceof Trouble) this.problem = problemOf(error);
      // The file has changed or is gone; the browser says how.
      else this.problem = { message: String(error), hint: null };
      return null;
    }
  }

  cancel(): void {
    this.#control.abort();
    drop(this);
  }
}

let all = $state.raw<Moving[]>([]);

/** It goes on when one looks at another page. */
export const moving = {
  get all() {
    return all;
  },
};

export function send(shop: HubShop, files: Iterable<File>, goal: Goal = null): void {
  const fresh = [...files].map((file) => new Moving(shop, file, goal));
  all = [...all, ...fresh];
  // One after the other: each has the whole line.
  void (async () => {
    for (const each of fresh) if (all.includes(each)) await each.go();
  })();
}

function drop(one: Moving): void {
  all = all.filter((each) => each !== one);
}
