/** Light, dark, or as the system has it. The first paint is `public/theme.js`'s. */
import { memory } from "./memory";

export type Theme = "system" | "light" | "dark";

const remembered = memory.read("theme");
let theme = $state<Theme>(remembered === "light" || remembered === "dark" ? remembered : "system");

export const look = {
  get theme() {
    return theme;
  },
};

export function paint(next: Theme): void {
  theme = next;
  if (next === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
  memory.write("theme", next);
}
