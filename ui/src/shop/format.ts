/** Numbers of printers and prints for people. */

/** Making a formatter costs a hundred times what using it does, and a dashboard uses thousands. */
const made = new Map<string, unknown>();

function once<F>(kind: string, locale: string, options: object, make: () => F): F {
  const key = `${kind} ${locale} ${JSON.stringify(options)}`;
  let found = made.get(key) as F | undefined;
  if (found === undefined) made.set(key, (found = make()));
  return found;
}

const numbers = (locale: string, options: Intl.NumberFormatOptions) =>
  once("number", locale, options, () => new Intl.NumberFormat(locale, options));

const times = (locale: string, options: Intl.DateTimeFormatOptions) =>
  once("time", locale, options, () => new Intl.DateTimeFormat(locale, options));

const unit = (locale: string, value: number, name: string) =>
  numbers(locale, {
    style: "unit",
    unit: name,
    unitDisplay: "short",
    maximumFractionDigits: 0,
  }).format(value);

/** `1 hr 12 min`, `45 min`, `30 sec`, `2 days 3 hr`: the two largest units, as the language does. */
export function duration(locale: string, seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return unit(locale, s, "second");
  const minutes = Math.round(s / 60);
  if (minutes < 60) return unit(locale, minutes, "minute");
  const [hours, left] = [Math.floor(minutes / 60), minutes % 60];
  if (hours >= 48) {
    const days = unit(locale, Math.floor(hours / 24), "day");
    return hours % 24 === 0 ? days : `${days} ${unit(locale, hours % 24, "hour")}`;
  }
  const whole = unit(locale, hours, "hour");
  return left === 0 ? whole : `${whole} ${unit(locale, left, "minute")}`;
}

/** `215°`: whole degrees, as panels show them. */
export const degrees = (locale: string, c: number) =>
  `${numbers(locale, { maximumFractionDigits: 0 }).format(c)}°`;

/** `62%`, `62 %`; below ten a tenth shows that it moves. */
export const progress = (locale: string, percent: number) =>
  numbers(locale, {
    style: "percent",
    // 100 % is said when it is so
    maximumFractionDigits: percent < 10 ? 1 : 0,
    roundingMode: "floor",
  } as Intl.NumberFormatOptions).format(Math.min(100, Math.max(0, percent)) / 100);

/** Of filament: `4.2 m`, `820 mm`. */
export function length(locale: string, um: number): string {
  const mm = um / 1000;
  const digits = mm >= 1000 ? 1 : 0;
  const number = numbers(locale, { maximumFractionDigits: digits });
  return mm >= 1000 ? `${number.format(mm / 1000)} m` : `${number.format(mm)} mm`;
}

/** `12.4 g`, `1.25 kg`. */
export function mass(locale: string, mg: number): string {
  const number = (digits: number) => numbers(locale, { maximumFractionDigits: digits });
  return mg >= 1e6 ? `${number(2).format(mg / 1e6)} kg` : `${number(1).format(mg / 1000)} g`;
}

/** `0.4 mm` of a bore or a layer. */
export const bore = (locale: string, um: number) =>
  `${numbers(locale, { maximumFractionDigits: 2 }).format(um / 1000)} mm`;

export const dateOf = (us: number) => new Date(us / 1000);

/** Time of day; with the weekday where it is not today's, with the date where that is not enough. */
export function when(locale: string, us: number, now_ms: number): string {
  const then = dateOf(us);
  const now = new Date(now_ms);
  const days = Math.round(
    (new Date(then).setHours(0, 0, 0, 0) - new Date(now).setHours(0, 0, 0, 0)) / 86_400_000,
  );
  const time = { hour: "2-digit", minute: "2-digit" } as const;
  const year = then.getFullYear() === now.getFullYear() ? undefined : ("numeric" as const);
  const date: Intl.DateTimeFormatOptions =
    days === 0
      ? {}
      : Math.abs(days) < 7
        ? { weekday: "short" }
        : { day: "numeric", month: "short", year };
  return times(locale, { ...date, ...time }).format(then);
}

/** `3 minutes ago`, `in 5 seconds`: coarse, for what is not counted down. */
export function ago(locale: string, us: number, now_ms: number): string {
  const s = Math.round((us / 1000 - now_ms) / 1000);
  const numeric = { numeric: "auto" } as const;
  const format = once("ago", locale, {}, () => new Intl.RelativeTimeFormat(locale, numeric));
  const size = Math.abs(s);
  if (size < 60) return format.format(s, "second");
  if (size < 3600) return format.format(Math.round(s / 60), "minute");
  if (size < 86_400) return format.format(Math.round(s / 3600), "hour");
  return format.format(Math.round(s / 86_400), "day");
}

/** Of what has been: the page's clock goes in steps, and may be behind the hub's. */
export const past = (locale: string, us: number, now_ms: number) =>
  ago(locale, Math.min(us, now_ms * 1000), now_ms);

/** A colour that a printer says; nothing else gets into a style. */
export const colorOf = (color: string | undefined | null): string | null =>
  color && /^#[0-9a-f]{6}$/i.test(color) ? color : null;

/** What goes to the printers' API as microseconds, of a `datetime-local` field. */
export const usOf = (local: string): number | undefined => {
  const ms = new Date(local).getTime();
  return Number.isFinite(ms) ? ms * 1000 : undefined;
};

/** What a `datetime-local` field shows of a time of the printers' API, to the minute. */
export const localOf = (us: number): string => {
  const date = new Date(us / 1000);
  const offset_ms = date.getTimezoneOffset() * 60_000;
  return new Date(date.getTime() - offset_ms).toISOString().slice(0, 16);
};
