import { expect, test } from "vitest";
import { LINES_MAX, plainText, Recall, said, sent, silence, type Output, unsent } from "./output";

const texts = ({ lines }: Output) =>
  lines.map(({ kind, text }) => (kind === "missed" ? kind : text));

test("lines come whole, however they are cut", () => {
  let output = silence;
  for (const part of ["Grbl 1.1h\r", "\nok", "\n\nerr", "or:20\r\n"]) {
    output = said(output, part, false);
  }
  expect(texts(output).join("|")).toBe("Grbl 1.1h|ok|error:20");
});

test("status reports are the position's, not the console's", () => {
  const output = said(silence, "<Idle|MPos:0,0,0|FS:0,0>\nok\n<b>\n", false);
  expect(texts(output)).toEqual(["ok", "<b>"]);
});

test("own lines stand where they were sent, and a gap is a gap", () => {
  let output = sent(said(silence, "ok\n", false), "$$");
  output = said(output, "$0=10\n", true);
  expect(texts(output)).toEqual(["ok", "$$", "missed", "$0=10"]);
  expect(plainText(output.lines)).toBe("ok\n> $$\n...\n$0=10");
  const refused = unsent(output, output.lines[1]?.id ?? 0);
  expect(refused.lines[1]).toMatchObject({ kind: "unsent", text: "$$" });
  expect(plainText(refused.lines)).toBe("ok\n...\n$0=10");
});

test("the oldest lines go first", () => {
  const many = Array.from({ length: LINES_MAX + 5 }, (_, i) => `${i}\n`).join("");
  const output = said(silence, many, false);
  expect(output.lines).toHaveLength(LINES_MAX);
  expect(output.lines[0]?.text).toBe("5");
});

test("what is told again after an outage is not shown twice", () => {
  const before = sent(said(silence, "a\nb\nc\nd\ne\n", false), "?");
  const again = { ...before, again: true };
  expect(texts(said(again, "a\nb\nc\nd\ne\nf\n", false))).toEqual([..."abcde", "?", "f"]);
  expect(texts(said(again, "x\ny\n", false))).toEqual([..."abcde", "?", "missed", "x", "y"]);
});

test("recall goes back and forth through what was sent", () => {
  const recall = new Recall();
  expect(recall.move(-1)).toBe("");
  for (const text of ["$$", "$I", "$I", "G0 X1"]) recall.keep(text);
  expect([-1, -1, -1, -1].map(() => recall.move(-1))).toEqual(["G0 X1", "$I", "$$", "$$"]);
  expect([1, 1, 1].map(() => recall.move(1))).toEqual(["$I", "G0 X1", ""]);
});
