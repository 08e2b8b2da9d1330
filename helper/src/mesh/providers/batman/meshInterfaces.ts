/** Interfaces of this host as the kernel lists them: the mesh's own, and those below it. */
import { readFileSync } from "node:fs";
import { InterfaceList } from "../../../linux/network/interfaces.ts";

export interface KnownInterface {
  readonly index: number;
  readonly name: string;
  /** `batadv` = one of a mesh. */
  readonly kind: string;
  /** `null` = the kernel does not tell. */
  readonly mtuBytes: number | null;
}

export const BATMAN_KIND = "batadv";

/** Of this process' network namespace. Throws when the kernel does not answer. */
export function listInterfaces(): readonly KnownInterface[] {
  const list = new InterfaceList(null);
  try {
    return list
      .read()
      .map(({ index, name, kind }) => ({ index, name, kind, mtuBytes: kind === BATMAN_KIND ? mtuOf(name) : null }));
  } finally {
    list.close();
  }
}

function mtuOf(name: string): number | null {
  try {
    const bytes = Number(readFileSync(`/sys/class/net/${name}/mtu`, "utf8"));
    return Number.isSafeInteger(bytes) && bytes > 0 ? bytes : null;
  } catch {
    return null;
  }
}
