/** Draws a plot on a canvas. Knows nothing of where it comes from. */
import { gridStep, type Box, type Fit, type Plot } from "./plot";

export type Colors = { grid: string; frame: string; todo: string; rapid: string; done: string };

type Pen = CanvasRenderingContext2D;

export function drawGround(pen: Pen, fit: Fit, colors: Colors, reach: Box | null): void {
  const { width, height } = pen.canvas;
  const step = gridStep(fit.scale) * fit.scale;
  pen.clearRect(0, 0, width, height);
  pen.lineWidth = 1;
  pen.strokeStyle = colors.grid;
  pen.beginPath();
  for (let x = ((fit.left % step) + step) % step; x < width; x += step) line(pen, x, 0, x, height);
  for (let y = ((fit.top % step) + step) % step; y < height; y += step) line(pen, 0, y, width, y);
  pen.stroke();
  pen.strokeStyle = colors.frame;
  pen.setLineDash([6, 5]);
  if (reach) {
    const [x, y] = [reach.min[0] * fit.scale + fit.left, fit.top - reach.max[1] * fit.scale];
    const [w, h] = [reach.max[0] - reach.min[0], reach.max[1] - reach.min[1]];
    pen.strokeRect(x, y, w * fit.scale, h * fit.scale);
  }
  pen.setLineDash([]);
  // The work's zero.
  pen.beginPath();
  line(pen, fit.left - 9, fit.top, fit.left + 9, fit.top);
  line(pen, fit.left, fit.top - 9, fit.left, fit.top + 9);
  pen.stroke();
}

/** Segments of one kind; in strokes of bounded length, which canvases draw fastest. */
export function drawPlot(
  pen: Pen,
  plot: Plot,
  fit: Fit,
  how: { from: number; to: number; beam: boolean; color: string; width: number },
): void {
  pen.strokeStyle = how.color;
  pen.lineWidth = how.width;
  pen.lineCap = "round";
  pen.lineJoin = "round";
  pen.setLineDash(how.beam ? [] : [3, 4]);
  pen.beginPath();
  let drawn = 0;
  let [lastX, lastY] = [NaN, NaN];
  for (let i = how.from; i < how.to; i += 1) {
    if (plot.beam[i] !== Number(how.beam)) continue;
    const [x, y] = [plot.xy[4 * i] ?? 0, plot.xy[4 * i + 1] ?? 0];
    const [toX, toY] = [plot.xy[4 * i + 2] ?? 0, plot.xy[4 * i + 3] ?? 0];
    if (x !== lastX || y !== lastY) pen.moveTo(x * fit.scale + fit.left, fit.top - y * fit.scale);
    pen.lineTo(toX * fit.scale + fit.left, fit.top - toY * fit.scale);
    [lastX, lastY] = [toX, toY];
    drawn += 1;
    if (drawn % STROKE_SEGMENTS === 0) {
      pen.stroke();
      pen.beginPath();
      lastX = NaN;
    }
  }
  pen.stroke();
  pen.setLineDash([]);
}

export function line(pen: Pen, x: number, y: number, toX: number, toY: number): void {
  pen.moveTo(x, y);
  pen.lineTo(toX, toY);
}

const STROKE_SEGMENTS = 2000;
