/** A candidate helps itself when its certificate is over and nobody else can be asked. */
import { createPublicKey } from "node:crypto";
import { Failure } from "@wardline/domain/errors";
import { Authority } from "./authority.ts";
import type { LoadedIdentity, StoredIdentity } from "./identityRecord.ts";
import type { IdentityStore } from "./identityStore.ts";
import { formatIpAddress } from "./peerAddress.ts";

/**
 * A new certificate for the key that it has, so that its record still holds; `null` where this host holds no authority or
 * cannot open it. Whoever has the seal key and the sealed record could do the same: this gives a candidate no new power.
 */
export async function reissueOffline(
  store: IdentityStore,
  { privateKey, leaf, stored }: LoadedIdentity,
  nowMs: number,
): Promise<StoredIdentity | null> {
  try {
    const [record, sealKey] = await Promise.all([store.readAuthority(), store.readSealKey()]);
    const address = leaf.ipAddresses[0];
    if (!record || !sealKey || !address) return null;
    const authority = Authority.open(record, sealKey);
    if (authority.trustDomain !== stored.trustDomain) return null;
    const issued = await authority.issueMember({
      name: stored.name,
      publicKey: createPublicKey(privateKey),
      ipAddress: formatIpAddress(address),
      nowMs,
    });
    return { ...stored, chainPem: issued.chainPem, bundlePem: authority.bundlePem };
  } catch (error) {
    if (error instanceof Failure) return null;
    throw error;
  }
}
