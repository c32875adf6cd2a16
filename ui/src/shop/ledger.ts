/** The printers of one hub as its feed tells of them. Collects until somebody takes what changed. */
import type { Changes, Printer, Snapshot } from "./api";
import { merge } from "./merge";

export class Ledger {
  readonly printers = new Map<string, Printer>();
  #changed = new Set<string>();
  #count: number | null = null;

  /** A look at everything. A printer that is as it was stays the same object. */
  snapshot({ printers, count }: Snapshot): void {
    this.#count = count;
    const gone = new Set(this.printers.keys());
    for (const printer of printers) {
      gone.delete(printer.id);
      const known = this.printers.get(printer.id);
      if (known && JSON.stringify(known) === JSON.stringify(printer)) continue;
      this.#set(printer.id, printer);
    }
    for (const id of gone) this.#set(id, null);
  }

  /**
   * What is older than the look is in it already. Numbers may be left out: of changes that are not
   * for us. None can be lost: who falls behind gets a whole look again.
   */
  changes({ printers, count }: Changes): void {
    if (this.#count === null || count <= this.#count) return;
    this.#count = count;
    for (const [id, patch] of Object.entries(printers)) {
      this.#set(id, patch === null ? null : (merge(this.printers.get(id), patch) as Printer));
    }
  }

  /** Whether anything changed since it was last asked. */
  get fresh(): boolean {
    return this.#changed.size > 0;
  }

  /** The ids of those that changed or went since it was last asked. */
  take(): string[] {
    const all = [...this.#changed];
    this.#changed.clear();
    return all;
  }

  #set(id: string, printer: Printer | null): void {
    this.#changed.add(id);
    if (printer) this.printers.set(id, printer);
    else this.printers.delete(id);
  }
}
