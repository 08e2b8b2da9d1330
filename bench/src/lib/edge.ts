/** The hook that sees packets without a socket here (closed ports, inbound ICMP, forwarded traffic), when it is built. */
import type { KernelLab } from "@wardline/helper/testing/kernelLab";

export const EDGE_NAME = "wardline + edge";

/** Options of the enforcer that turn the hook on, or `null` where this version has none. */
export function edgeOptions(_lab: KernelLab): object | null {
  return null;
}
