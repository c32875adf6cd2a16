export type Language = "en" | "de";

/** What was chosen here; else the first of the browser's languages that we speak; else English. */
export function languageFrom(chosen: string | null, preferred: readonly string[]): Language {
  if (chosen === "en" || chosen === "de") return chosen;
  const first = preferred.find((tag) => /^(en|de)\b/i.test(tag));
  return first?.toLowerCase().startsWith("de") ? "de" : "en";
}
