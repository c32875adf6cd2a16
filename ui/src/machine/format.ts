/** Numbers of machines for people. */
/** Thousandths of a millimetre, as controllers report them, always as wide. */
export const coordinate = (locale: string, value: number): string =>
  new Intl.NumberFormat(locale, {
    minimumFractionDigits: 3,
    maximumFractionDigits: 3,
    useGrouping: false,
  }).format(Math.abs(value) < 0.0005 ? 0 : value);

export const amount = (locale: string, value: number, digits = 1): string =>
  new Intl.NumberFormat(locale, { maximumFractionDigits: digits }).format(value);

/** `12 × 8 mm`. */
export function extentOf(locale: string, extent: { min: number[]; max: number[] }): string {
  const span = (axis: number) => (extent.max[axis] ?? 0) - (extent.min[axis] ?? 0);
  return `${amount(locale, span(0))} × ${amount(locale, span(1))} mm`;
}

/** `4 ms`, `0.4 ms`, `1.2 s`. */
export const shortly = (locale: string, ms: number): string =>
  ms >= 1000 ? `${amount(locale, ms / 1000)} s` : `${amount(locale, ms, ms < 10 ? 1 : 0)} ms`;

export const AXES = ["X", "Y", "Z", "A", "B", "C"] as const;
