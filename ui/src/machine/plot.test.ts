import { expect, test } from "vitest";
import { around, doneAt, fit, gridStep, plotOf, reach } from "./plot";

const preview = {
  min: [0, 0] as [number, number],
  max: [10, 10] as [number, number],
  cut: false,
  paths: [
    {
      line: 3,
      beam: false,
      points: [
        [0, 0],
        [10, 0],
      ] as [number, number][],
    },
    {
      line: 4,
      beam: true,
      points: [
        [10, 0],
        [10, 10],
        [0, 10],
        [0, 0],
      ] as [number, number][],
    },
    {
      line: 7,
      beam: false,
      points: [
        [0, 0],
        [5, 5],
      ] as [number, number][],
    },
  ],
};

test("paths become segments, and lines say how many are done", () => {
  const plot = plotOf(preview);
  expect(plot.count).toBe(5);
  expect([...plot.beam]).toEqual([0, 1, 1, 1, 0]);
  expect([...plot.xy.slice(4, 8)]).toEqual([10, 0, 10, 10]);
  expect([0, 3, 4, 5, 6, 7, 8].map((line) => doneAt(plot, line))).toEqual([0, 0, 1, 2, 3, 4, 5]);
});

test("the box is in the middle, as large as it can be, with y upwards", () => {
  const { scale, left, top } = fit({ min: [0, 0], max: [10, 5] }, 120, 120, 10);
  expect(scale).toBe(10);
  expect([left, 10 * scale + left]).toEqual([10, 110]);
  expect([top, top - 5 * scale]).toEqual([85, 35]);
  expect(fit({ min: [3, 3], max: [3, 3] }, 100, 100, 10).scale).toBeGreaterThan(0);
});

test("the machine's reach is told in the coordinates of the work", () => {
  const box = { min: [-50, -60], max: [350, 340] };
  expect(reach([400, 400, null], [-350, -340, 0], [-350, -340, 0])).toEqual(box);
  expect(reach([400, 400, null], [50, 60, 0], [51, 61, 0])).toEqual(box);
  expect(reach([null, 400, null], [0, 0, 0], null)).toBeNull();
  expect(around({ min: [0, 0], max: [1, 1] }, { min: [-1, 2], max: [0, 3] })).toEqual({
    min: [-1, 0],
    max: [1, 3],
  });
});

test("the grid is 1, 2 or 5 times a power of ten", () => {
  expect([100, 20, 10, 4, 1, 0.5].map(gridStep)).toEqual([0.5, 2, 5, 10, 50, 100]);
});
