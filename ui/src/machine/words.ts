/**
 * Why a machine was stopped or is kept so, and what GRBL's numbers mean, in the page's language.
 * Source: grbl 1.1 `doc/csv/alarm_codes_en_US.csv` and `error_codes_en_US.csv`; what is not in
 * the catalogue is shown by its number.
 */
import { en } from "../text/en";
import { t, type Key } from "../text/index.svelte";
import type { Reason, StopButton } from "./api";

export function reasonText(reason: Reason): string {
  if (typeof reason === "string") return t(`stopped_${reason}`);
  if ("asked" in reason) return t("stopped_asked", { who: reason.asked.by });
  if ("button" in reason) return t("stopped_button", reason.button);
  return t("stopped_button_lost", reason.button_lost);
}

/** What is wrong with a stop button; null when it is ready. */
export function buttonText({ name, contact }: StopButton): string | null {
  if (contact === "ready") return null;
  if (contact === "open") return t("button_open", { name });
  return t("button_lost", { name, why: contact.lost.why });
}

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
