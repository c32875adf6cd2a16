/** Numbers and times for people, in their language. */

/** `1.2 MB`, decimal units as drives and networks are sold. */
export function bytes(locale: string, value: number): string {
  let scaled = Math.max(0, value);
  let unit = 0;
  while (scaled >= 999.5 && unit < UNITS.length - 1) {
    scaled /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || scaled >= 99.95 ? 0 : 1;
  return `${number(locale, scaled, digits)} ${UNITS[unit]}`;
}

export const bytesPerSecond = (locale: string, value: number) => `${bytes(locale, value)}/s`;

/** `480 Mbit/s`, `1.5 Mbit/s`, `5 Gbit/s`. */
export function bitsPerSecond(locale: string, value: number): string {
  return value >= 1e9
    ? `${number(locale, value / 1e9, 1)} Gbit/s`
    : `${number(locale, value / 1e6, 1)} Mbit/s`;
}

/** Below 10 ms a tenth matters, above it does not. */
export const milliseconds = (locale: string, value: number) =>
  `${number(locale, value, value < 10 ? 1 : 0)} ms`;

/** `0.4 %`, as the language writes it. */
export const percent = (locale: string, share: number) =>
  new Intl.NumberFormat(locale, { style: "percent", maximumFractionDigits: 1 }).format(share);

/** `9:05`, `1:00:00`: what is left on a clock. */
export function clock(seconds: number): string {
  const left = Math.max(0, Math.ceil(seconds));
  const two = (n: number) => String(n).padStart(2, "0");
  const h = Math.floor(left / 3600);
  const m = Math.floor((left % 3600) / 60);
  return h > 0 ? `${h}:${two(m)}:${two(left % 60)}` : `${m}:${two(left % 60)}`;
}

/** Time of day for today, with the date otherwise. */
export function moment(locale: string, when: Date, now: Date): string {
  const today = when.toDateString() === now.toDateString();
  return new Intl.DateTimeFormat(locale, {
    ...(today ? {} : { dateStyle: "medium" }),
    timeStyle: "short",
  }).format(when);
}

/** `3 minutes`, for choices such as an invite's life. */
export function span(locale: string, seconds: number): string {
  const [value, unit] =
    seconds % 86_400 === 0
      ? [seconds / 86_400, "day"]
      : seconds % 3600 === 0
        ? [seconds / 3600, "hour"]
        : [Math.round(seconds / 60), "minute"];
  return new Intl.NumberFormat(locale, { style: "unit", unit, unitDisplay: "long" }).format(value);
}

/** The points of a sparkline in a box, newest at the right, the largest value at the top. */
export function spark(values: number[], slots: number, width: number, height: number): string {
  const top = Math.max(1, ...values);
  const step = width / (slots - 1);
  const first = slots - values.length;
  return values
    .map((v, i) => `${round((first + i) * step)},${round(height - (v / top) * height)}`)
    .join(" ");
}

const round = (n: number) => Math.round(n * 10) / 10;

const number = (locale: string, value: number, digits: number) =>
  new Intl.NumberFormat(locale, { maximumFractionDigits: digits }).format(value);

const UNITS = ["B", "kB", "MB", "GB", "TB"] as const;
