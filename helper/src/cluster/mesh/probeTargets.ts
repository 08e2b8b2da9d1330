/** To whom a member measures its ways. Pure. */
import { isIP } from "node:net";
import { type Member, MemberState } from "@wardline/api/wardline/v1/cluster";
import { MeshProvider } from "@wardline/api/wardline/v1/mesh";
import type { ProbeTarget } from "../../mesh/ports.ts";

/** Of other hosts, each with its plain address and its mesh address. */
export const MAX_PROBED_HOSTS = 64;

export interface ProbePlan {
  readonly self: string;
  readonly members: readonly Member[];
  /** In Yggdrasil, by member; empty where this host has none. */
  readonly meshAddresses: ReadonlyMap<string, string>;
}

/** In larger clusters each host measures some others, and each is measured by as many: the pair decides, from both its ends. */
export function probeTargets({ self, members, meshAddresses }: ProbePlan): ProbeTarget[] {
  const others = members.flatMap((member) => {
    const name = member.record?.name ?? "";
    const isOther = name !== "" && name !== self && member.state !== MemberState.JOINING;
    return isOther ? [{ name, member, rank: pairing(self, name) }] : [];
  });
  others.sort((one, other) => (others.length > MAX_PROBED_HOSTS ? one.rank - other.rank : 0));
  return others.slice(0, MAX_PROBED_HOSTS).flatMap(({ name, member }) => {
    const meshAddress = meshAddresses.get(name);
    const overlay = { host: name, address: meshAddress ?? "", provider: MeshProvider.YGGDRASIL };
    const plain = plainTarget(name, member);
    return [...(plain ? [plain] : []), ...(meshAddress ? [overlay] : [])];
  });
}

/** Where its record says that it listens, which an administrator let in; or the first address that it has by its own word. */
function plainTarget(host: string, { record, presence }: Member): ProbeTarget | null {
  const [, bracketed, bare, port] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(record?.peerAddress ?? "") ?? [];
  const listening = bracketed ?? bare ?? "";
  if (isReachable(listening)) {
    return { host, address: listening, provider: MeshProvider.IP, tcpPort: Number(port) };
  }
  const address = presence?.addresses.find((each) => isReachable(each) && !isMesh(each));
  return address === undefined ? null : { host, address, provider: MeshProvider.IP };
}

/** One host's own: no group of hosts, no network, and not whoever asks. */
function isReachable(address: string): boolean {
  if (isIP(address) === 0 || address.includes("%")) return false;
  return !/^(0\.|127\.|169\.254\.|22[4-9]\.|2[3-5]\d\.|::$|::1$|fe[89ab]|ff)/i.test(address);
}

/** 200::/7 */
export function isMesh(address: string): boolean {
  return /^0?[23][0-9a-f]{2}:/i.test(address) && isIP(address) === 6;
}

/** FNV-1a over both names, the smaller first, stirred once more: the same from both ends. */
function pairing(one: string, other: string): number {
  const text = one < other ? `${one} ${other}` : `${other} ${one}`;
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
