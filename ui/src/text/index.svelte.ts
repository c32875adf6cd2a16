/** The page's language: the browser's at first, then what was chosen here. */
import { memory } from "../memory";
import { de } from "./de";
import { en, type Key } from "./en";
import { fill, type Values } from "./fill";
import { languageFrom, type Language } from "./language";

export type { Key } from "./en";
export type { Language } from "./language";

const catalogues: Record<Language, Record<Key, string>> = { en, de };

const first = languageFrom(memory.read("language"), navigator.languages);
let language = $state<Language>(first);
document.documentElement.lang = first;
let locale = $derived(navigator.languages.find((tag) => tag.startsWith(language)) ?? language);

export const speech = {
  get language() {
    return language;
  },
  /** For `Intl`: the browser's own variant (de-AT, en-GB) where it is of the chosen language. */
  get locale() {
    return locale;
  },
};

export function speak(next: Language): void {
  language = next;
  document.documentElement.lang = next;
  memory.write("language", next);
}

export function t<K extends Key>(key: K, ...values: Values<(typeof en)[K]>): string {
  return fill(catalogues[language][key], values[0]);
}

type Counted = "devices" | "errors" | "jobs" | "files";

export function counted(what: Counted, count: number): string {
  const form = new Intl.PluralRules(language).select(count) === "one" ? "one" : "other";
  const shown = new Intl.NumberFormat(speech.locale).format(count);
  return t(`${what}_${form}`, { count: shown });
}
