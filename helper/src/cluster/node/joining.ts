/**
 * Into a cluster with a token. The private key is on disk before the token is shown to anybody, because a token counts once:
 * after a crash the same token with the same key is answered again. This host is a member once `config.json` is there.
 */
import { createHash, createPrivateKey } from "node:crypto";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import type { JoinClusterRequest } from "@wardline/api/wardline/agent/v1/cluster";
import { isErrno, replaceFile, toWriteFailure } from "../../files/atomicFile.ts";
import { makeDirectory } from "../../files/directory.ts";
import type { Accept } from "../../generations/controllerTypes.ts";
import type { Joined } from "../peers/joinClient.ts";
import type { PeerTarget } from "../peers/ports.ts";
import { readPeerAddress } from "../service/fields.ts";
import type { Asker } from "../service/writes.ts";
import type { NodeConfiguration } from "./configFile.ts";
import { refuseSecondCluster } from "./initialising.ts";
import type { NodeLife } from "./nodeLife.ts";
import { checkOwnAddress } from "./ownAddress.ts";

/** How long the answer waits for this host to be known to the others. */
const REGISTERED_WITHIN_MS = 10_000;
/** Together for all candidates of the token: below the deadline of the call. */
const ASK_WITHIN_MS = 90_000;

/** Throws `Failure`; then this host is alone as before, and may try again with the same token. */
export function joinCluster(life: NodeLife, request: JoinClusterRequest, _asker: Asker, accept: Accept): Promise<void> {
  return life.changes.run(async () => {
    refuseSecondCluster(life);
    const { parseJoinToken } = await import("../../identity/joinTokenText.ts");
    const { joinCluster: ask } = await import("../peers/joinClient.ts");
    const peerAddress = readPeerAddress(request.peerAddress);
    const { candidates } = parseJoinToken(request.token);
    await checkOwnAddress(peerAddress);
    await accept();
    const { hostName: memberName, clock } = life.ports;
    const { privateKey, path } = await keyFor(life, request.token.trim());
    const signal = AbortSignal.timeout(ASK_WITHIN_MS);
    const asked = { token: request.token, memberName, peerAddress, wallMs: () => clock.wallMs(), privateKey, signal };
    const joined = await ask(asked);
    await life.shut();
    try {
      await keep(life, joined, peerAddress, candidates);
      // What this host wrote while it was alone is not the cluster's.
      await life.putEmbeddedAside();
      await rm(join(life.directory, "desired.json"), { force: true });
      await rm(path, { force: true });
      await life.notice.remove();
    } finally {
      await life.reopen();
    }
    await registered(life);
  });
}

/** @param candidates of the token: who can be asked before the members were ever read */
async function keep(
  life: NodeLife,
  joined: Joined,
  peerAddress: string,
  candidates: readonly PeerTarget[],
): Promise<void> {
  const { formatWardlineId } = await import("@wardline/domain/identity");
  const { IdentityStore } = await import("../../identity/identityStore.ts");
  const identities = new IdentityStore(life.ports.stateDir);
  const { settings, record } = joined;
  if (joined.sealKey !== null) await identities.writeSealKey(joined.sealKey);
  await identities.writeIdentity(joined.identity);
  const { clusterName, trustDomain, store, leaseMs } = settings;
  const configuration: NodeConfiguration = {
    clusterName,
    trustDomain,
    clusterId: "",
    memberName: record.name,
    candidate: record.candidate,
    peerAddress,
    store,
    leaseMs,
    knownMembers: candidates.map(({ name, peerAddress: address }) => {
      return {
        name,
        peerAddress: address,
        candidate: true,
        spiffeId: formatWardlineId({ trustDomain, kind: "host", name }),
      };
    }),
  };
  await life.file.write(configuration);
}

/** The key of an earlier try with this token, or a new one that is on disk now. */
async function keyFor(life: NodeLife, token: string) {
  const { newPrivateKey, privateKeyPem } = await import("../../identity/keyPairs.ts");
  const path = join(life.directory, "joining.json");
  const tokenDigest = createHash("sha256").update(token).digest("hex");
  const earlier = await readAttempt(path);
  if (earlier?.tokenDigest === tokenDigest) return { privateKey: createPrivateKey(earlier.keyPem), path };
  const privateKey = newPrivateKey();
  try {
    makeDirectory(life.directory, 0o700);
    await replaceFile(path, `${JSON.stringify({ tokenDigest, keyPem: privateKeyPem(privateKey) })}\n`);
  } catch (error) {
    throw toWriteFailure(error, "the key for the cluster");
  }
  return { privateKey, path };
}

async function readAttempt(path: string): Promise<{ readonly tokenDigest: string; readonly keyPem: string } | null> {
  try {
    const { tokenDigest, keyPem } = JSON.parse(await readFile(path, "utf8"));
    createPrivateKey(keyPem);
    return { tokenDigest, keyPem };
  } catch (error) {
    if (isErrno(error, "ENOENT")) return null;
    // Damaged: the token will be refused if it was used with the key that is lost, and says so.
    return null;
  }
}

/** The host is a member by now; that its presence is not written yet shows in the status. */
async function registered({ working }: NodeLife): Promise<void> {
  const until = AbortSignal.timeout(REGISTERED_WITHIN_MS);
  await working?.parts.membership.registered(until).catch(() => undefined);
}
