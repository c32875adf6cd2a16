/** A job's path as line segments ready to be drawn, and how they fit a canvas. Pure. */
import type { Preview } from "./api";

export type Box = { min: [number, number]; max: [number, number] };

/** Structure of arrays: 100 000 segments stay cheap. In mm, in the order in which they are run. */
export type Plot = {
  count: number;
  /** Four numbers each: from x, from y, to x, to y. */
  xy: Float32Array;
  /** The program's line that draws it. */
  line: Float32Array;
  beam: Uint8Array;
};

export function plotOf(preview: Preview): Plot {
  const all = preview.paths.reduce((sum, path) => sum + Math.max(0, path.points.length - 1), 0);
  const plot: Plot = {
    count: all,
    xy: new Float32Array(4 * all),
    line: new Float32Array(all),
    beam: new Uint8Array(all),
  };
  let at = 0;
  preview.paths.forEach((path, index) => {
    const segments = path.points.length - 1;
    // A path's lines end where the next path begins; a curve has more segments than lines.
    const next = preview.paths[index + 1]?.line ?? path.line + segments;
    const step = segments > 0 ? (next - path.line) / segments : 0;
    for (let i = 0; i < segments; i += 1) {
      const [from, to] = [path.points[i], path.points[i + 1]];
      if (!from || !to) continue;
      plot.xy.set([from[0], from[1], to[0], to[1]], 4 * at);
      plot.line[at] = path.line + step * (i + 1);
      plot.beam[at] = path.beam ? 1 : 0;
      at += 1;
    }
  });
  return plot;
}

/** How many segments are done when the machine is at this line. */
export function doneAt(plot: Plot, line: number): number {
  let [low, high] = [0, plot.count];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((plot.line[middle] ?? 0) <= line) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** From mm to pixels: `x * scale + left`, `top - y * scale`, as y grows upwards. */
export type Fit = { scale: number; left: number; top: number };

export function fit(box: Box, width: number, height: number, pad: number): Fit {
  const [w, h] = [box.max[0] - box.min[0], box.max[1] - box.min[1]];
  const room = (px: number) => Math.max(1, px - 2 * pad);
  const scale = Math.min(room(width) / Math.max(w, EPSILON), room(height) / Math.max(h, EPSILON));
  return {
    scale,
    left: (width - w * scale) / 2 - box.min[0] * scale,
    top: (height + h * scale) / 2 + box.min[1] * scale,
  };
}

export const around = (a: Box, b: Box): Box => ({
  min: [Math.min(a.min[0], b.min[0]), Math.min(a.min[1], b.min[1])],
  max: [Math.max(a.max[0], b.max[0]), Math.max(a.max[1], b.max[1])],
});

/**
 * Where the machine can go, in the coordinates of the work. Homed machines count down from zero,
 * unless they say that they stand at a positive place.
 */
export function reach(
  travel: readonly (number | null)[],
  offset: readonly number[] | null,
  machine: readonly number[] | null,
): Box | null {
  const [w, h] = travel;
  if (!w || !h || !offset) return null;
  const span = (length: number, at: number, shift: number): [number, number] =>
    at > EPSILON ? [-shift, length - shift] : [-length - shift, -shift];
  const [left, right] = span(w, machine?.[0] ?? 0, offset[0] ?? 0);
  const [bottom, top] = span(h, machine?.[1] ?? 0, offset[1] ?? 0);
  return { min: [left, bottom], max: [right, top] };
}

/** A grid that is neither crowded nor empty: 1, 2 or 5 times a power of ten, in mm. */
export function gridStep(scale: number): number {
  const least = GRID_PX / scale;
  const power = 10 ** Math.floor(Math.log10(least));
  return ([1, 2, 5].find((each) => each * power >= least) ?? 10) * power;
}

const GRID_PX = 36;
const EPSILON = 0.001;
