/** A text with its `{placeholders}`, which the compiler knows by name. */

/** `"{count} of {all}"` gives `"count" | "all"`. */
export type Slot<S extends string> = S extends `${string}{${infer Name}}${infer Rest}`
  ? Name | Slot<Rest>
  : never;

export type Values<S extends string> = [Slot<S>] extends [never]
  ? []
  : [values: Record<Slot<S>, string | number>];

export function fill(text: string, values: Record<string, string | number> = {}): string {
  return text.replace(/\{(\w+)\}/g, (all, name: string) => String(values[name] ?? all));
}

export const slots = (text: string): string[] =>
  [...text.matchAll(/\{(\w+)\}/g)].map((match) => match[1] ?? "").sort();
