/** How the mock's print shop answers. */

export type Fault = { status: number; code: string; message: string; hint: string | null };
export type Given = { status: number; body?: unknown; text?: string; type?: string } | Fault;
export type Body = Record<string, unknown>;

export const NONE: Fault = {
  status: 404, code: "not_found", message: "There is no such thing.", hint: null,
};
export const bad = (message: string): Fault => ({
  status: 400, code: "bad_request", message, hint: null,
});

/** What it does not know it refuses. */
export function unknown(body: object, known: string[]): Fault | null {
  const other = Object.keys(body).find((key) => !known.includes(key));
  return other === undefined ? null : bad(`unknown field ${other}`);
}
