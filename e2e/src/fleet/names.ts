/** What the parts of a fleet are called on this machine: everything of one place begins alike, so that it can be found. */
import { join } from "node:path";
import { findCgroup2Mount } from "@wardline/helper/linux/mounts";

export const namespacePrefix = (slot: number): string => `wlfleet${slot}-`;
export const networkNamespace = (slot: number): string => `${namespacePrefix(slot)}net`;
export const hostNamespace = (slot: number, index: number): string => `${namespacePrefix(slot)}h${index}`;
/** The machine's own end of the line to the fleet (at most 15 characters). */
export const consoleInterface = (slot: number): string => `wlfleet${slot}`;
/** The fleet's end of the line to a host. */
export const hostPort = (index: number): string => `h${index}`;

export function fleetCgroup(slot: number): string {
  const mount = findCgroup2Mount();
  if (mount === null) throw new Error("no cgroup2 mount");
  return join(mount, `wlfleet${slot}`);
}
