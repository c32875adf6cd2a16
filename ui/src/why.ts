/** Why a hub is reached as it is, in the page's language. */
import type { Why } from "./api";
import { moment } from "./format";
import { speech, t } from "./text/index.svelte";

export function because(why: Why, hub: string): string {
  const time = why.at === null ? "" : moment(speech.locale, new Date(why.at), new Date());
  return t(`why_${why.code}`, { hub, time, count: String(why.count ?? 0) });
}
