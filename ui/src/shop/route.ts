/**
 * Which page of the shop the address names: `#/printers`, `#/printer/garage/mk4`, `#/jobs`,
 * `#/jobs/garage/ID`, `#/files`, `#/queue`.
 */

export const AREAS = ["printers", "jobs", "files", "queue"] as const;
export type Area = (typeof AREAS)[number];
export type Place =
  | { area: Area }
  | { area: "printer"; hub: string; name: string }
  | { area: "job"; hub: string; id: string };

export function placeFrom(hash: string): Place | null {
  const [head, ...rest] = hash.replace(/^#\//, "").split("/");
  if (!hash.startsWith("#/")) return null;
  try {
    const [hub = "", name = ""] = rest.map(decodeURIComponent);
    if (rest.length === 2 && hub !== "" && name !== "") {
      if (head === "printer") return { area: "printer", hub, name };
      if (head === "jobs") return { area: "job", hub, id: name };
    }
  } catch {
    return null;
  }
  const area = AREAS.find((each) => each === head);
  return area && rest.length === 0 ? { area } : null;
}

export const hashOfPrinter = (hub: string, name: string) =>
  `#/printer/${encodeURIComponent(hub)}/${encodeURIComponent(name)}`;
export const hashOfJob = (hub: string, id: string) =>
  `#/jobs/${encodeURIComponent(hub)}/${encodeURIComponent(id)}`;
