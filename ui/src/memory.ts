/** What this browser remembers of the page; without storage (private mode), nothing. */
export const memory = {
  read(key: string): string | null {
    try {
      return localStorage.getItem(`farhub.${key}`);
    } catch {
      return null;
    }
  },
  write(key: string, value: string): void {
    try {
      localStorage.setItem(`farhub.${key}`, value);
    } catch {
      // Not remembered: the page still works.
    }
  },
};
