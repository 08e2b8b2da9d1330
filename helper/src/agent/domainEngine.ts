import { createHash } from "node:crypto";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import {
  compile,
  endpointMatches,
  hostEndpoint,
  type Peer,
  type Policy,
  type PolicyWorld,
  readPolicyFiles,
  stateDigest,
  withoutExpired,
  withQuarantines,
} from "@wardline/domain/policy";
import type { Dependencies, PolicyEngine } from "./policyEngine.ts";

/** More names than this in the policies of one host are refused: each is looked up again and again. */
const MAX_DOMAIN_NAMES = 1_024;

/** The engine of `@wardline/domain/policy`. */
export const domainEngine: PolicyEngine = {
  read: (files) => readPolicyFiles(files),
  compile: (world, hostName, { atUnixMs, domainAddresses, quarantines, observesPolicies }) => {
    const { policies, inventory } = withoutExpired(world, atUnixMs);
    const present = { policies, inventory: { ...inventory, domainAddresses } };
    // The platform's SHA-256: the one in JavaScript is a quarter of a large compilation.
    return compile(withQuarantines(present, hostName, quarantines, observesPolicies), hostName, () =>
      createHash("sha256"),
    );
  },
  dependencies,
  stateDigest,
};

function dependencies(world: PolicyWorld, hostName: string): Dependencies {
  const { endpoints, namespaces } = world.inventory;
  const here = endpoints.filter((endpoint) => endpoint.hostName === hostName);
  const subjects = [hostEndpoint(world.inventory, hostName), ...here];
  const matters = ({ subject }: Policy): boolean =>
    subjects.some((endpoint) => endpointMatches(subject, endpoint, namespaces));
  const expiries = new Set<number>();
  const names = new Set<string>();
  for (const policy of world.policies) {
    const peers = policy.rules.flatMap((rule) => rule.peers ?? []).filter((peer) => peer.kind === "domains");
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

function namesToLookUp(policy: Policy, peer: Extract<Peer, { kind: "domains" }>): readonly string[] {
  const wildcard = peer.names.find((name) => name.startsWith("*"));
  if (wildcard === undefined) return peer.names;
  throw new Failure({
    code: ErrorCode.POLICY_UNSUPPORTED,
    message: `${policy.key} names ${wildcard}. DNS answers for whole names only, so no host can look up whom that means.`,
    hint: "List the names that are meant one by one.",
    source: peer.source,
  });
}
