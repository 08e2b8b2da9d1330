/** The nftables backend inside a lab: its table lives in the namespace of the lab's host. */
import { createNftablesEnforcer, type NftablesEnforcer } from "../enforce/nftables/nftablesEnforcer.ts";
import { findNft, type NftProgram } from "../enforce/nftables/nftCommand.ts";

/** Why it cannot be used here, besides what the lab itself needs, or `null`. */
export function nftablesProblem(): string | null {
  return findNft() === null ? "needs nft" : null;
}

/** `nft` in a network namespace, given by its path. */
export function nftInside(networkNamespace: string): NftProgram {
  return ["/usr/bin/nsenter", `--net=${networkNamespace}`, findNft() ?? "nft"];
}

const NEVER_MS = 2 ** 30;

/** By itself it does not look after its table unless told how often. */
export function nftablesEnforcerInside(networkNamespace: string, watchIntervalMs = NEVER_MS): NftablesEnforcer {
  return createNftablesEnforcer({ nft: nftInside(networkNamespace), networkNamespace, watchIntervalMs });
}
