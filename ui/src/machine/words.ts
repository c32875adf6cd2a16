/**
 * What GRBL's numbers mean, in the page's language.
 * Source: grbl 1.1 `doc/csv/alarm_codes_en_US.csv` and `error_codes_en_US.csv`; what is not in
 * the catalogue is shown by its number.
 */
import { en } from "../text/en";
import { t, type Key } from "../text/index.svelte";

export function alarmText(code: number | null): string {
  if (code === null) return t("alarm_unknown");
  const words = wordsOf("alarm", code);
  const number = t("alarm_number", { code });
  return words === null ? number : `${number}: ${words}`;
}

/** The words for a line such as `error:20` or `ALARM:1`; null for every other line. */
export function errorText(line: string): string | null {
  const [, kind, digits] = /^(error|alarm):\s*(\d+)$/i.exec(line.trim()) ?? [];
  if (!kind || !digits) return null;
  return wordsOf(kind.toLowerCase() === "alarm" ? "alarm" : "error", Number(digits));
}

function wordsOf(kind: "alarm" | "error", code: number): string | null {
  const key = `${kind}_code_${code}`;
  return key in en ? t(key as Extract<Key, `${"alarm" | "error"}_code_${string}`>) : null;
}
