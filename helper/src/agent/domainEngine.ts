import { createHash } from "node:crypto";
import { type DiscoveredEndpoint, withDiscoveredEndpoints } from "@wardline/domain/cluster";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import {
  endpointMatches,
  hostEndpoint,
  type Inventory,
  type Peer,
  type Policy,
  type PolicyWorld,
  stateDigest,
  withoutExpired,
  withQuarantines,
} from "@wardline/domain/policy";
import { EngineMemory, type Forgetting } from "./engineMemory.ts";
import type { Circumstances, Dependencies, PolicyEngine } from "./policyEngine.ts";

/** More names than this in the policies of one host are refused: each is looked up again and again. */
const MAX_DOMAIN_NAMES = 1_024;

/**
 * The engine of `@wardline/domain/policy`, which goes on from what it read and compiled before: the same answers as from
 * scratch, in the time that the change takes. Each engine has a memory of its own.
 */
export function createDomainEngine(forgetting?: Forgetting): PolicyEngine {
  // The platform's SHA-256: the one in JavaScript is a quarter of a large compilation.
  const createSha256 = () => createHash("sha256");
  const memory = new EngineMemory(createSha256, forgetting);
  const merge = createMerge();
  return {
    read: (files, options) => memory.read(files, options),
    compile: (world, hostName, circumstances) => {
      const { domainAddresses, discovered, quarantines } = circumstances;
      // Everybody plans without what differs from host to host, and a host that has some compiles with and without it in turn.
      const isPlain = domainAddresses.size === 0 && discovered.length === 0 && quarantines.length === 0;
      const present = worldUnder(merge(world, discovered), hostName, circumstances);
      return memory.compile(isPlain ? "plain" : "present", present, hostName);
    },
    dependencies: (world, hostName, discovered) => dependencies(merge(world, discovered), hostName),
    stateDigest: (files) => stateDigest(files, createSha256),
  };
}

/** As `withDiscoveredEndpoints`; the inventory of the last answer is the same object while nothing in it changed. */
function createMerge(): typeof withDiscoveredEndpoints {
  let last: { readonly from: Inventory; readonly discovered: readonly DiscoveredEndpoint[]; readonly to: Inventory };
  return (world, discovered) => {
    if (discovered.length === 0) return world;
    if (last?.from !== world.inventory || last.discovered !== discovered) {
      last = { from: world.inventory, discovered, to: withDiscoveredEndpoints(world, discovered).inventory };
    }
    return { ...world, inventory: last.to };
  };
}

function worldUnder(
  world: PolicyWorld,
  hostName: string,
  { atUnixMs, domainAddresses, quarantines, observesPolicies }: Circumstances,
): PolicyWorld {
  const { policies, inventory } = withoutExpired(world, atUnixMs);
  const hasNames = domainAddresses.size > 0 || inventory.domainAddresses.size > 0;
  const present = { policies, inventory: hasNames ? { ...inventory, domainAddresses } : inventory };
  return withQuarantines(present, hostName, quarantines, observesPolicies);
}

function dependencies(world: PolicyWorld, hostName: string): Dependencies {
  const { endpoints, namespaces } = world.inventory;
  const here = endpoints.filter((endpoint) => endpoint.hostName === hostName);
  const subjects = [hostEndpoint(world.inventory, hostName), ...here];
  const matters = ({ subject }: Policy): boolean =>
    subjects.some((endpoint) => endpointMatches(subject, endpoint, namespaces));
  const expiries = new Set<number>();
  const names = new Set<string>();
  for (const policy of world.policies) {
    const peers = domainPeers(policy);
    if ((policy.expiresAtUnixMs === null && peers.length === 0) || !matters(policy)) continue;
    if (policy.expiresAtUnixMs !== null) expiries.add(policy.expiresAtUnixMs);
    for (const peer of peers) for (const name of namesToLookUp(policy, peer)) names.add(name);
  }
  if (names.size > MAX_DOMAIN_NAMES) {
    throw new Failure({
      code: ErrorCode.TOO_LARGE,
      message: `The policies of this host name ${names.size} domains; a host looks up at most ${MAX_DOMAIN_NAMES}.`,
      hint: "Use address blocks for the larger groups.",
    });
  }
  return {
    expiriesUnixMs: [...expiries].sort((left, right) => left - right),
    domainNames: [...names].sort(),
  };
}

type DomainPeer = Extract<Peer, { kind: "domains" }>;

/** Without a list for each rule: all are asked at every apply, and mostly there are none. */
function domainPeers({ rules }: Policy): readonly DomainPeer[] {
  const found: DomainPeer[] = [];
  for (const { peers } of rules) {
    if (peers === null) continue;
    for (const peer of peers) if (peer.kind === "domains") found.push(peer);
  }
  return found;
}

function namesToLookUp(policy: Policy, peer: DomainPeer): readonly string[] {
  const wildcard = peer.names.find((name) => name.startsWith("*"));
  if (wildcard === undefined) return peer.names;
  throw new Failure({
    code: ErrorCode.POLICY_UNSUPPORTED,
    message: `${policy.key} names ${wildcard}. DNS answers for whole names only, so no host can look up whom that means.`,
    hint: "List the names that are meant one by one.",
    source: peer.source,
  });
}
