/** What printers, jobs and files say of themselves, in the page's language. */
import { speech, t } from "../text/index.svelte";
import type { Tone } from "../parts/Chip.svelte";
import type {
  FileState,
  Heater,
  Job,
  JobState,
  Phase,
  Printer,
  Problem,
  Protocol,
  Running,
} from "./api";
import { duration } from "./format";
import { isCurrent, standOf, type Stand } from "./stand";

export const PROTOCOLS: Record<Protocol, string> = {
  bambu: "Bambu Lab",
  prusalink: "PrusaLink",
  moonraker: "Klipper (Moonraker)",
  octoprint: "OctoPrint",
};

/** Of a newer hub there may be more of them. */
export const protocolName = (protocol: string): string =>
  PROTOCOLS[protocol as Protocol] ?? protocol;

const STAND_TONES: Record<Stand, Tone> = {
  attention: "bad",
  paused: "busy",
  done: "wait",
  printing: "good",
  free: "plain",
  away: "off",
  off: "off",
};

/** The one word on its chip. */
export function wordOf(printer: Printer): { text: string; tone: Tone } {
  const { health, state } = printer;
  const tone = STAND_TONES[standOf(printer)];
  if (!printer.enabled || health.link === "disabled") return { text: t("shop_link_disabled"), tone };
  if (health.link === "offline") return { text: t("shop_link_offline"), tone };
  if (!isCurrent(printer) || !state) return { text: t("shop_link_connecting"), tone: "off" };
  return { text: phaseText(state.phase), tone };
}

export const phaseText = (phase: Phase) => t(`shop_phase_${phase}`);

export const jobTones: Record<JobState, Tone> = {
  preparing: "wait",
  printing: "good",
  paused: "busy",
  finished: "good",
  cancelled: "plain",
  failed: "bad",
  unknown: "off",
};
export const fileTones: Record<FileState, Tone> = {
  available: "plain",
  downloading: "wait",
  downloaded: "good",
  local: "good",
  error: "bad",
};

/** What is wrong and what to do: in our words, and in the hub's, which know more. */
export function problemText({ reason, message, hint }: Problem) {
  return {
    title: t(`shop_reason_${reason}`),
    help: hint || t(`shop_help_${reason}`),
    detail: message,
  };
}

export const left = (job: Running | undefined): string | null =>
  job?.remaining_s === undefined
    ? null
    : t("shop_left", { time: duration(speech.locale, job.remaining_s) });

export const layers = (job: Running | undefined): string | null =>
  job?.layer === undefined
    ? null
    : job.layers === undefined
      ? t("shop_layer", { layer: job.layer })
      : t("shop_layer_of", { layer: job.layer, layers: job.layers });

/** How long it printed, or is printing by now. */
export const tookOf = (job: Job, now_ms: number): number =>
  job.printed_s ??
  Math.max(0, ((job.ended_us ?? now_ms * 1000) - job.started_us) / 1e6 - job.paused_s);

export const heaterText = (heater: Heater, several: boolean): string =>
  typeof heater === "string"
    ? t(`shop_heater_${heater}`)
    : several
      ? t("shop_heater_hotend_n", { number: heater.hotend + 1 })
      : t("shop_heater_hotend");
