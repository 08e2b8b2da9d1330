/** The node that the target of a run is about: `host/web-1`, `daemon/yggdrasil/web-1`; `null` for others. */
export function placeOfTarget(target: string): string | null {
  const parts = target.split("/");
  const [kind, second, third] = parts;
  if (kind === "host" && parts.length === 2 && second) return target;
  if (kind === "daemon" && parts.length === 3 && third) return `host/${third}`;
  return null;
}
