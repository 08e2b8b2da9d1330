/** Which port a packet asks policy about. Mirrors `read_transport` and `read_icmp` of bpf/src/packet.h. */
import { PROTOCOL, type ProtocolNumber } from "./model.ts";

/** ICMP types that answer a query, by the type of the query (RFC 792, RFC 4443). */
const QUERY_OF_ANSWER: Readonly<Record<4 | 6, Readonly<Record<number, number>>>> = {
  4: { 0: 8, 14: 13 },
  6: { 129: 128 },
};

/**
 * The port of the question that a packet asks. Answers to ICMP queries ask about their query, because they belong to it
 * (and, on a host, to the other direction); ICMP of the other family has no type that the datapath reads, and protocols without ports have none: both ask 0.
 *
 * `field` is the destination port, or `type << 8 | code` for ICMP.
 */
export function policyPort(family: 4 | 6, protocol: ProtocolNumber, field: number): number {
  if (protocol === PROTOCOL.tcp || protocol === PROTOCOL.udp || protocol === PROTOCOL.sctp) return field;
  if (protocol !== (family === 4 ? PROTOCOL.icmp : PROTOCOL.icmpv6)) return 0;
  const query = QUERY_OF_ANSWER[family][field >> 8];
  return query === undefined ? field : query << 8;
}
