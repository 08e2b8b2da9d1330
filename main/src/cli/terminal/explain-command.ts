/** The command that shows the walkthrough of a connection. */
import { type FlowEnd, type PolicyFlow, type PolicyWorld, policyPort, resolveFlowEnds } from "@wardline/domain/policy";
import { formatPort } from "../input/port.ts";
import { visible } from "./visible.ts";

/**
 * `wardline policy explain …` about exactly this connection, or `null` when its options cannot say it: a protocol
 * without ports, an answer to an ICMP query, one of several addresses of a workload that others have too.
 */
export function explainCommand(world: PolicyWorld, flow: PolicyFlow, sourceOptions: readonly string[]): string | null {
  const { protocol, port } = flow;
  const portText = formatPort(protocol, port);
  const family = flow.from.address.includes(":") ? 6 : 4;
  if (!portText.includes("/") || policyPort(family, protocol, port) !== port) return null;
  for (const from of endTexts(flow.from)) {
    for (const to of endTexts(flow.to)) {
      if (!isSaid(world, flow, from, to)) continue;
      const ends = ["--from", from, "--to", to, "--port", portText];
      return ["wardline", "policy", "explain", ...ends, ...sourceOptions].map(shellWord).join(" ");
    }
  }
  return null;
}

function endTexts({ endpointKey, address }: FlowEnd): readonly string[] {
  return endpointKey === null ? [address] : [endpointKey, address];
}

function isSaid(world: PolicyWorld, flow: PolicyFlow, fromText: string, toText: string): boolean {
  try {
    const { from, to } = resolveFlowEnds(world, fromText, toText);
    return isSameEnd(from, flow.from) && isSameEnd(to, flow.to);
  } catch {
    // Ambiguous as typed; another way to say it may not be.
    return false;
  }
}

function isSameEnd(one: FlowEnd, other: FlowEnd): boolean {
  return one.endpointKey === other.endpointKey && one.address === other.address;
}

/** Harmless on a terminal, and one word for a shell. */
export function shellWord(word: string): string {
  const shown = visible(word);
  return /^[\w@%+=:,./-]+$/.test(shown) ? shown : `'${shown.replaceAll("'", `'\\''`)}'`;
}
