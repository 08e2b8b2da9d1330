/** The first member of a new cluster: authority, seal key, its own identity and record. Nothing is written here. */
import { createPublicKey } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type MemberRecord, MemberRecordSchema } from "@wardline/api/wardline/v1/cluster";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { isMemberName } from "@wardline/domain/identity";
import { Authority } from "./authority.ts";
import type { StoredIdentity } from "./identityRecord.ts";
import { newPrivateKey, privateKeyPem } from "./keyPairs.ts";
import { parsePeerAddress } from "./peerAddress.ts";
import { newSealKey } from "./sealing.ts";

export interface FoundingRequest {
  readonly clusterName: string;
  readonly trustDomain: string;
  readonly memberName: string;
  readonly peerAddress: string;
  readonly labels: Readonly<Record<string, string>>;
  /** `alice (uid 1000) on a`. */
  readonly admittedBy: string;
  readonly nowMs: number;
}

export interface Founding {
  readonly authority: Authority;
  readonly sealKey: Uint8Array;
  readonly identity: StoredIdentity;
  readonly record: MemberRecord;
}

/** Throws `Failure` INVALID_ARGUMENT. */
export async function foundCluster(request: FoundingRequest): Promise<Founding> {
  const { clusterName, trustDomain, memberName, peerAddress, labels, admittedBy, nowMs } = request;
  if (!isMemberName(memberName)) {
    const message = `${JSON.stringify(memberName.slice(0, 80))} is no name for a member: a host name in lower case is needed.`;
    throw new Failure({ code: ErrorCode.INVALID_ARGUMENT, message });
  }
  const { ipAddress } = parsePeerAddress(peerAddress);
  const authority = await Authority.create(clusterName, trustDomain, nowMs);
  const privateKey = newPrivateKey();
  const publicKey = createPublicKey(privateKey);
  const issued = await authority.issueMember({ name: memberName, publicKey, ipAddress, nowMs });
  const record = create(MemberRecordSchema, {
    name: memberName,
    spiffeId: issued.spiffeId,
    candidate: true,
    admittedAt: timestampFromMs(nowMs),
    admittedBy,
    labels: { ...labels },
    peerAddress,
    keyFingerprint: issued.keyFingerprint,
    certificateExpiresAt: timestampFromMs(issued.expiresAtMs),
  });
  const identity: StoredIdentity = {
    name: memberName,
    trustDomain,
    keyPem: privateKeyPem(privateKey),
    chainPem: issued.chainPem,
    bundlePem: authority.bundlePem,
    bundleSequence: authority.sequence,
    nextKeyPem: "",
  };
  return { authority, sealKey: newSealKey(), identity, record };
}
