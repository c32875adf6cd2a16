/** Which machine the address of the page names: `#/machine/garage/laser`. */

export type Where = { hub: string; name: string };

export function whereFrom(hash: string): Where | null {
  const [, hub, name] = /^#\/machine\/([^/]+)\/([^/]+)$/.exec(hash) ?? [];
  if (!hub || !name) return null;
  try {
    return { hub: decodeURIComponent(hub), name: decodeURIComponent(name) };
  } catch {
    return null;
  }
}

export const hashOf = ({ hub, name }: Where) =>
  `#/machine/${encodeURIComponent(hub)}/${encodeURIComponent(name)}`;
