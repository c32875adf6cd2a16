/** What the lines of a machine tell beyond its status. Pure. */
import type { Line } from "./output";

export type Heat = {
  hotend: number;
  wanted: number;
  bed: number | null;
  bed_wanted: number | null;
};
export type Heard = {
  /** GRBL's last `ALARM:n` since it started or was unlocked. */
  alarm: number | null;
  error: { code: number; line: number } | null;
  /** `$130` to `$132`: how far each axis goes, in mm. */
  travel: [number | null, number | null, number | null];
  heat: Heat | null;
};

export const heardNothing: Heard = {
  alarm: null,
  error: null,
  travel: [null, null, null],
  heat: null,
};

export function listen(heard: Heard, lines: readonly Line[]): Heard {
  let next = heard;
  for (const { id, kind, text } of lines) {
    if (kind === "machine") next = { ...next, ...one(next, id, text) };
  }
  return next;
}

function one(heard: Heard, id: number, text: string): Partial<Heard> {
  const alarm = /^ALARM:\s*(\d+)/i.exec(text);
  if (alarm) return { alarm: Number(alarm[1]) };
  const error = /^error:\s*(\d+)$/i.exec(text);
  if (error) return { error: { code: Number(error[1]), line: id } };
  if (/^(Grbl|grblHAL) \d|Caution: Unlocked/i.test(text)) return { alarm: null, error: null };
  const travel = /^\$13([0-2])=([\d.]+)/.exec(text);
  if (travel) {
    const axes: Heard["travel"] = [...heard.travel];
    axes[Number(travel[1])] = Number(travel[2]);
    return { travel: axes };
  }
  const heat = heatOf(text);
  return heat ? { heat } : {};
}

/** Marlin: `ok T:200.1 /200.0 B:60.0 /60.0 @:127`. */
function heatOf(text: string): Heat | null {
  const [, hotend, wanted] = /\bT0?:\s*(-?[\d.]+)\s*\/\s*([\d.]+)/.exec(text) ?? [];
  if (!hotend || !wanted) return null;
  const [, bed, bed_wanted] = /\bB:\s*(-?[\d.]+)\s*\/\s*([\d.]+)/.exec(text) ?? [];
  return {
    hotend: Number(hotend),
    wanted: Number(wanted),
    bed: bed ? Number(bed) : null,
    bed_wanted: bed_wanted ? Number(bed_wanted) : null,
  };
}
