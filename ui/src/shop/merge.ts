/** JSON Merge Patch, RFC 7386. */

/**
 * The document after the patch. What the patch does not touch is the same object as before, so
 * that who shows it can tell by identity.
 */
export function merge(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch;
  const next: Record<string, unknown> = isObject(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete next[key];
    // `__proto__` as a plain key, whatever a peer sends
    else
      Object.defineProperty(next, key, {
        value: merge(Object.hasOwn(next, key) ? next[key] : undefined, value),
        enumerable: true,
        configurable: true,
        writable: true,
      });
  }
  return next;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
