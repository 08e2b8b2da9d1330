/** A host that has nothing but a token asks to be let in. */
import { createPublicKey } from "node:crypto";
import { connect, type TLSSocket } from "node:tls";
import { create } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { JoinRequestSchema, type JoinResponse, PeerService } from "@wardline/api/wardline/peer/v1/peer";
import type { MemberRecord } from "@wardline/api/wardline/v1/cluster";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { isMemberName } from "@wardline/domain/identity";
import { fingerprintOfKey, sha256Hex } from "../../identity/certificate.ts";
import { loadIdentity, type StoredIdentity } from "../../identity/identityRecord.ts";
import { type JoinToken, parseJoinToken } from "../../identity/joinTokenText.ts";
import { newPrivateKey, privateKeyPem, publicKeyBytes, signJoin } from "../../identity/keyPairs.ts";
import { parsePeerAddress } from "../../identity/peerAddress.ts";
import { decodePem, encodePem } from "../../identity/pem.ts";
import type { ClusterSettings } from "../../identity/ports.ts";
import { SEAL_KEY_BYTES } from "../../identity/sealing.ts";
import { type Roots, readRoots } from "../../identity/trustBundle.ts";
import { verifyPeer } from "../../identity/verifyPeer.ts";
import { LinkSessions } from "./linkSessions.ts";
import { toFailure } from "./peerLink.ts";
import type { PeerTarget } from "./ports.ts";
import { ALPN, chainOf, HANDSHAKE_TIMEOUT_MS, TLS_OPTIONS } from "./tlsLinks.ts";

export interface JoinRequestParts {
  /** As a person gave it. */
  readonly token: string;
  readonly memberName: string;
  readonly peerAddress: string;
  readonly wallMs: () => number;
  /** Of an earlier try with the same token whose answer was lost; a new one unless given. */
  readonly privateKey?: PrivateKey;
  readonly signal?: AbortSignal;
}

export interface Joined {
  readonly identity: StoredIdentity;
  readonly record: MemberRecord;
  readonly settings: ClusterSettings;
  /** Candidates only. */
  readonly sealKey: Uint8Array | null;
}

const CALL_TIMEOUT_MS = 20_000;
const READ_MAX_BYTES = 1024 * 1024;
const BASE_URL = "https://wardline-peer.invalid";
/** What another candidate could answer differently: everything but what the cluster itself decided. */
const ASK_NEXT = new Set([
  ErrorCode.HOST_UNREACHABLE,
  ErrorCode.DEADLINE_EXCEEDED,
  ErrorCode.STORE_UNAVAILABLE,
  ErrorCode.IDENTITY_REFUSED,
  ErrorCode.INTERNAL,
]);

/**
 * Asks the candidates that the token names, one after the other. Nothing is written here. Throws TOKEN_INVALID, ALREADY_EXISTS
 * (the name is taken), HOST_UNREACHABLE, IDENTITY_REFUSED, INVALID_ARGUMENT, CANCELED. The secret is sent only to a candidate
 * whose certificate comes from the authority that the token names.
 */
export async function joinCluster(parts: JoinRequestParts): Promise<Joined> {
  const token = parseJoinToken(parts.token);
  if (!isMemberName(parts.memberName)) throw invalid("This host's name is no host name in lower case.");
  parsePeerAddress(parts.peerAddress);
  const privateKey = parts.privateKey ?? newPrivateKey();
  let problem: Failure | null = null;
  for (const candidate of token.candidates) {
    try {
      const response = await askOne(candidate, token, parts, privateKey);
      return readResponse(response, token, parts, privateKey);
    } catch (error) {
      problem = toFailure(error, candidate.name, parts.signal);
      if (!ASK_NEXT.has(problem.code) || parts.signal?.aborted) throw problem;
    }
  }
  throw problem as Failure;
}

type PrivateKey = ReturnType<typeof newPrivateKey>;

async function askOne(
  candidate: PeerTarget,
  token: JoinToken,
  { memberName, peerAddress, wallMs, signal }: JoinRequestParts,
  privateKey: PrivateKey,
): Promise<JoinResponse> {
  const socket = await connectTo(candidate, signal);
  try {
    const problem = judge(chainOf(socket), candidate, token, wallMs());
    if (problem) throw problem;
    const sessionManager = new LinkSessions(BASE_URL, {}, { createConnection: () => socket });
    const transport = createGrpcTransport({
      baseUrl: BASE_URL,
      sessionManager,
      readMaxBytes: READ_MAX_BYTES,
      acceptCompression: [],
    });
    const request = create(JoinRequestSchema, {
      tokenId: token.id,
      tokenSecret: token.secret,
      memberName,
      peerAddress,
      publicKey: publicKeyBytes(privateKey),
      proof: signJoin(privateKey, token.id, memberName),
    });
    return await createClient(PeerService, transport).join(request, {
      timeoutMs: CALL_TIMEOUT_MS,
      ...(signal ? { signal } : {}),
    });
  } finally {
    socket.destroy();
  }
}

/** A TLS connection whose other end is not known yet: `judge` decides before anything is sent. */
function connectTo({ name, peerAddress }: PeerTarget, signal: AbortSignal | undefined): Promise<TLSSocket> {
  const { ipAddress, port } = parsePeerAddress(peerAddress);
  return new Promise((resolve, reject) => {
    const socket = connect({
      host: ipAddress,
      port,
      ...TLS_OPTIONS,
      ALPNProtocols: [...ALPN],
      rejectUnauthorized: false,
      // Without it Node reads some 150 roots of the public web, which have no say here.
      ca: [],
    });
    const fail = (error: Error) => {
      signal?.removeEventListener("abort", stop);
      socket.destroy();
      reject(signal?.aborted ? canceled() : toFailure(error, name));
    };
    const stop = () => fail(canceled());
    signal?.addEventListener("abort", stop, { once: true });
    socket.setTimeout(HANDSHAKE_TIMEOUT_MS, () => fail(new Error("no answer in time")));
    socket.once("error", fail);
    socket.once("secureConnect", () => {
      socket.setTimeout(0);
      socket.off("error", fail);
      socket.on("error", () => socket.destroy());
      signal?.removeEventListener("abort", stop);
      resolve(socket);
    });
  });
}

/** The root is the one of the token, the leaf is exactly that candidate's. A member that is no candidate cannot step in. */
function judge(chain: readonly Uint8Array[], candidate: PeerTarget, token: JoinToken, nowMs: number): Failure | null {
  const root = chain.find((der) => sha256Hex(der) === token.rootFingerprint);
  if (!root) {
    return new Failure({
      code: ErrorCode.IDENTITY_REFUSED,
      message: `What answers at ${candidate.peerAddress} is not the cluster of the token. Nothing was sent to it.`,
      hint: "Make a new token on a candidate of the cluster; the authority may have changed its root since.",
    });
  }
  const peer = verifyPeer(chain, rootsOf(token.trustDomain, [root]), nowMs);
  if (peer instanceof Failure) return peer;
  if (peer.kind === "host" && peer.name === candidate.name) return null;
  const message = `At the address of ${candidate.name} answers ${peer.kind} ${peer.name}. Nothing was sent to it.`;
  return new Failure({ code: ErrorCode.IDENTITY_REFUSED, message });
}

function rootsOf(trustDomain: string, certificates: readonly Uint8Array[]): Roots {
  return readRoots(trustDomain, encodePem(certificates));
}

/** Everything that the cluster sent is checked before any of it is kept. */
function readResponse(
  response: JoinResponse,
  token: JoinToken,
  { memberName, wallMs }: JoinRequestParts,
  privateKey: PrivateKey,
): Joined {
  const { clusterName, trustDomain, certificateChainPem, bundlePem, record, store, sealKey, leaseMs } = response;
  const roots = readRoots(token.trustDomain, bundlePem);
  if (!roots.certificates.some(({ fingerprint }) => fingerprint === token.rootFingerprint)) {
    throw wrongAnswer("its authorities are not those of the token");
  }
  const own = verifyPeer(decodePem(certificateChainPem), roots, wallMs());
  if (own instanceof Failure) throw own;
  const isOwnKey = own.keyFingerprint === fingerprintOfKey(createPublicKey(privateKey));
  if (own.kind !== "host" || own.name !== memberName || !isOwnKey) throw wrongAnswer("the certificate is another's");
  if (trustDomain !== token.trustDomain || record?.name !== memberName || !store) throw wrongAnswer("it is incomplete");
  if (record.candidate !== (sealKey.length === SEAL_KEY_BYTES)) throw wrongAnswer("the seal key does not fit");
  const identity: StoredIdentity = {
    name: memberName,
    trustDomain,
    keyPem: privateKeyPem(privateKey),
    chainPem: certificateChainPem,
    bundlePem,
    bundleSequence: 0n,
    nextKeyPem: "",
  };
  loadIdentity(identity);
  const settings = { clusterName, trustDomain, store, leaseMs };
  return { identity, record, settings, sealKey: record.candidate ? sealKey : null };
}

function wrongAnswer(reason: string): Failure {
  return new Failure({ code: ErrorCode.IDENTITY_REFUSED, message: `The cluster's answer was refused: ${reason}.` });
}

function invalid(message: string): Failure {
  return new Failure({ code: ErrorCode.INVALID_ARGUMENT, message });
}

function canceled(): Failure {
  return new Failure({ code: ErrorCode.CANCELED, message: "Joining was canceled." });
}
