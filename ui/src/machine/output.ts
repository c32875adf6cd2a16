/** The console: what the machine said, and what was sent from here, line by line. Pure. */

export type Line = { id: number; kind: "machine" | "own" | "unsent" | "missed"; text: string };
export type Output = {
  lines: Line[];
  /** The machine's line that has no end yet. */
  open: string;
  next: number;
  /** The next text is what came before, sent again after the link was down. */
  again: boolean;
};

export const silence: Output = { lines: [], open: "", next: 1, again: false };

/** More than anybody reads, and little for a browser. */
export const LINES_MAX = 2000;

export function said(output: Output, text: string, missed: boolean): Output {
  let plain = text.replaceAll("\r\n", "\n").replaceAll("\r", "\n");
  let gap = missed;
  let { open } = output;
  if (output.again) {
    open = "";
    const known = unseen(output.lines, plain);
    gap = known === null && output.lines.some((line) => line.kind === "machine");
    plain = known ?? plain;
  }
  const parts = (open + plain).split("\n");
  const rest = parts.pop() ?? "";
  let { next } = output;
  const fresh: Line[] = parts
    .filter((part) => part !== "" && !isReport(part))
    .map((part) => ({ id: next++, kind: "machine", text: part }));
  if (gap) fresh.unshift({ id: next++, kind: "missed", text: "" });
  return {
    lines: fresh.length === 0 ? output.lines : [...output.lines, ...fresh].slice(-LINES_MAX),
    // A machine that never ends its line must not fill the memory.
    open: rest.slice(-LINE_CHARACTERS_MAX),
    next,
    again: false,
  };
}

export function sent(output: Output, text: string): Output {
  const line: Line = { id: output.next, kind: "own", text };
  return { ...output, lines: [...output.lines, line].slice(-LINES_MAX), next: output.next + 1 };
}

/** The hub did not take it. */
export function unsent(output: Output, id: number): Output {
  const lines = output.lines.map((line): Line =>
    line.id === id ? { ...line, kind: "unsent" } : line,
  );
  return { ...output, lines };
}

export const plainText = (lines: Line[]): string =>
  lines
    .filter(({ kind }) => kind !== "unsent")
    .map(({ kind, text }) => (kind === "own" ? `> ${text}` : kind === "missed" ? "..." : text))
    .join("\n");

/** Earlier entries with ArrowUp, later ones with ArrowDown. */
export class Recall {
  #entries: string[] = [];
  #at = 0;

  keep(text: string): void {
    if (this.#entries.at(-1) !== text) this.#entries = [...this.#entries, text].slice(-100);
    this.#at = this.#entries.length;
  }

  move(step: -1 | 1): string {
    this.#at = Math.min(Math.max(this.#at + step, 0), this.#entries.length);
    return this.#entries[this.#at] ?? "";
  }
}

/** `<Idle|MPos:...>` comes five times a second, and is what the position is read from. */
const isReport = (line: string) => /^<[A-Z][a-z]+[|:].*>$/.test(line);

/** What of a repeated text is new, or null when nothing of it is known. */
function unseen(lines: Line[], text: string): string | null {
  const tail = lines
    .filter((line) => line.kind === "machine")
    .slice(-TAIL_LINES)
    .map((line) => `${line.text}\n`)
    .join("");
  const at = tail === "" ? -1 : text.lastIndexOf(tail);
  return at === -1 ? null : text.slice(at + tail.length);
}

const TAIL_LINES = 4;
const LINE_CHARACTERS_MAX = 4096;
