/**
 * What GRBL's numbers mean, in the page's language.
 * Source: grbl 1.1 `doc/csv/alarm_codes_en_US.csv` and `error_codes_en_US.csv`; what is not in
 * the table is shown by its number.
 */
import { t, type Key } from "../text/index.svelte";

type AlarmKey = Extract<Key, `alarm_code_${number}`>;
type ErrorKey = Extract<Key, `error_code_${number}`>;

export function alarmText(code: number | null): string {
  if (code === null) return t("alarm_unknown");
  if (!ALARMS.has(code)) return t("alarm_number", { code });
  return `${t("alarm_number", { code })}: ${t(`alarm_code_${code}` as AlarmKey)}`;
}

/** The words for a line such as `error:20` or `ALARM:1`; null for every other line. */
export function errorText(line: string): string | null {
  const [, kind = "", digits = ""] = /^(error|ALARM):\s*(\d+)$/i.exec(line.trim()) ?? [];
  const code = Number(digits);
  if (kind.toLowerCase() === "alarm")
    return ALARMS.has(code) ? t(`alarm_code_${code}` as AlarmKey) : null;
  return kind !== "" && ERRORS.has(code) ? t(`error_code_${code}` as ErrorKey) : null;
}

export const ALARMS = new Set([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
export const ERRORS = new Set([
  1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16, 17, 20, 21, 22, 23, 24, 25, 26, 31, 33, 36,
]);
