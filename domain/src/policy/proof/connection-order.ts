/** The order of `findConnection`, for examples that come from several questions. */
import { compareEnds, type GroupEnd } from "../access/member-groups.ts";
import { compareProtocols } from "../access/port-space.ts";
import { parseAddress } from "../address.ts";
import type { FlowEnd, PolicyFlow } from "../evaluation.ts";

export function compareConnections(left: PolicyFlow, right: PolicyFlow): number {
  return (
    compareEnds(groupEnd(left.from), groupEnd(right.from)) ||
    compareEnds(groupEnd(left.to), groupEnd(right.to)) ||
    compareProtocols(left.protocol, right.protocol) ||
    left.port - right.port
  );
}

function groupEnd({ endpointKey, address }: FlowEnd): GroupEnd {
  const parsed = parseAddress(address);
  return { endpointKey, address, bytes: parsed.ok ? parsed.bytes : new Uint8Array() };
}
