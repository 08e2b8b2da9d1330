/** How a version is named in a place of the window: by its number on this console, or by its digest, which is one everywhere. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { VersionSideSchema } from "@wardline/api/wardline/console/v1/versions";

/** `7`, or at least 12 digits of the digest; `null` = neither. */
export function versionSide(name: string): MessageInitShape<typeof VersionSideSchema> | null {
  if (/^\d{1,9}$/.test(name)) return { side: { case: "number", value: BigInt(name) } };
  return /^[0-9a-f]{12,64}$/.test(name) ? { side: { case: "id", value: name } } : null;
}

/** For a link that others may open: their numbers are others. */
export const linkName = (id: string): string => id.slice(0, 12);
