/** The cluster's certificate authority, open in the memory of a candidate. Its private keys leave it only sealed. */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import {
  type AuthorityRecord,
  AuthorityRecordSchema,
  AuthorityRootSchema,
  BundleSignatureSchema,
  RootState,
  type TrustBundle,
  TrustBundleSchema,
} from "@wardline/api/wardline/v1/identity";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { formatWardlineId, isClusterName, isTrustDomain } from "@wardline/domain/identity";
import { type CertificateFacts, fingerprintOfKey, readCertificate } from "./certificate.ts";
import { type KeyPair, type LeafRequest, writeLeaf, writeRoot } from "./certificateWriter.ts";
import { decodePem, encodePem } from "./pem.ts";
import { open, seal } from "./sealing.ts";
import { checkServerRequest, MAX_SERVER_LIFE_MS, type ServerCertificateRequest } from "./serverRequest.ts";
import { STORE_ADMINISTRATOR, serverUserOf, storeUserOf } from "./storeUsers.ts";
import { bundleBytes, type Roots } from "./trustBundle.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

export const ROOT_LIFE_MS = 3 * 365 * DAY_MS;
export const MEMBER_LIFE_MS = DAY_MS;
/** Certificates start this long ago, for hosts whose clocks are behind. */
export const CLOCK_SKEW_MS = 10 * MINUTE_MS;

export interface AuthorityRootState {
  readonly certificate: CertificateFacts;
  readonly state: RootState;
  readonly sinceMs: number;
  readonly privateKey: KeyObject | null;
}

export interface IssuedCertificate {
  /** Leaf and root, PEM: what is shown to others. A host that joins has only the root's fingerprint, so it is part of it. */
  readonly chainPem: string;
  readonly spiffeId: string;
  readonly keyFingerprint: string;
  readonly startsAtMs: number;
  readonly expiresAtMs: number;
}

export interface MemberCertificateRequest {
  readonly name: string;
  /** Checked by `readPublicKey`. */
  readonly publicKey: KeyObject;
  readonly ipAddress: string;
  readonly nowMs: number;
  /** 24 h unless given. */
  readonly lifeMs?: number;
}

interface AuthorityParts {
  readonly clusterName: string;
  readonly trustDomain: string;
  readonly sequence: bigint;
  readonly roots: readonly AuthorityRootState[];
}

const purposeOf = (clusterName: string, trustDomain: string, rootFingerprint: string) =>
  `wardline authority key v1\n${clusterName}\n${trustDomain}\n${rootFingerprint}`;

const invalid = (message: string) => new Failure({ code: ErrorCode.INVALID_ARGUMENT, message });
const exists = (message: string) => new Failure({ code: ErrorCode.ALREADY_EXISTS, message });
const missing = (message: string) => new Failure({ code: ErrorCode.NOT_FOUND, message });

function damaged(reason: string): Failure {
  const message = `The record of the cluster's authority cannot be used: ${reason}.`;
  return new Failure({ code: ErrorCode.IDENTITY_REFUSED, message });
}

export class Authority {
  readonly clusterName: string;
  readonly trustDomain: string;
  /** Counts up with each change of the roots. */
  readonly sequence: bigint;
  readonly #roots: readonly AuthorityRootState[];

  private constructor({ clusterName, trustDomain, sequence, roots }: AuthorityParts) {
    this.clusterName = clusterName;
    this.trustDomain = trustDomain;
    this.sequence = sequence;
    this.#roots = roots;
  }

  /** A new authority with one root. Throws `Failure` INVALID_ARGUMENT for names that are none. */
  static async create(clusterName: string, trustDomain: string, nowMs: number): Promise<Authority> {
    if (!isClusterName(clusterName)) throw invalid("The cluster's name is not a DNS label (a-z, 0-9, -, at most 63).");
    if (!isTrustDomain(trustDomain))
      throw invalid("The trust domain may have a-z, 0-9, . - and _, at most 255 characters.");
    const root = await newRoot(clusterName, trustDomain, nowMs, RootState.SIGNING);
    return new Authority({ clusterName, trustDomain, sequence: 1n, roots: [root] });
  }

  /** Throws `Failure` IDENTITY_REFUSED when the record is damaged, of another cluster, or sealed with another key. */
  static open(record: AuthorityRecord, sealKey: Uint8Array): Authority {
    const { clusterName, trustDomain, sequence } = record;
    if (!isClusterName(clusterName) || !isTrustDomain(trustDomain)) throw damaged("its names are none");
    const roots = record.roots.map((root) => {
      const [der, ...more] = decodePem(root.certificatePem);
      if (der === undefined || more.length > 0) throw damaged("a root is not one certificate");
      const certificate = readCertificate(der);
      const purpose = purposeOf(clusterName, trustDomain, certificate.fingerprint);
      const privateKey = root.sealedKey.length === 0 ? null : openKey(root.sealedKey, sealKey, purpose, certificate);
      const sinceMs = root.since ? timestampMs(root.since) : 0;
      return { certificate, state: root.state, sinceMs, privateKey };
    });
    const signing = roots.filter(({ state }) => state === RootState.SIGNING);
    if (signing.length !== 1 || !signing[0]?.privateKey) throw damaged("not exactly one of its roots signs");
    return new Authority({ clusterName, trustDomain, sequence, roots });
  }

  /** For the store; the keys in it are sealed. */
  toRecord(sealKey: Uint8Array): AuthorityRecord {
    const { clusterName, trustDomain, sequence } = this;
    const roots = this.#roots.map(({ certificate, state, sinceMs, privateKey }) => {
      const purpose = purposeOf(clusterName, trustDomain, certificate.fingerprint);
      const secret = privateKey?.export({ type: "pkcs8", format: "der" });
      return create(AuthorityRootSchema, {
        certificatePem: encodePem([certificate.x509.raw]),
        state,
        sealedKey: secret ? seal(secret, sealKey, purpose) : new Uint8Array(),
        since: timestampFromMs(sinceMs),
      });
    });
    return create(AuthorityRecordSchema, { clusterName, trustDomain, sequence, roots });
  }

  /** Without their keys. */
  get roots(): readonly Omit<AuthorityRootState, "privateKey">[] {
    return this.#roots.map(({ certificate, state, sinceMs }) => ({ certificate, state, sinceMs }));
  }

  get trusted(): Roots {
    return { trustDomain: this.trustDomain, certificates: this.#roots.map(({ certificate }) => certificate) };
  }

  get bundlePem(): string {
    return encodePem(this.#roots.map(({ certificate }) => certificate.x509.raw));
  }

  /** SHA-256 of the signing root's certificate: what a join token names. */
  get signingFingerprint(): string {
    return this.#signing.certificate.fingerprint;
  }

  /** The trusted roots, signed by each root whose key is here. */
  get bundle(): TrustBundle {
    const certificates = this.#roots.map(({ certificate }) => certificate.x509.raw);
    const signedBytes = bundleBytes(this.trustDomain, this.sequence, certificates);
    const signatures = this.#roots.flatMap(({ certificate, privateKey }) =>
      privateKey
        ? [
            create(BundleSignatureSchema, {
              rootFingerprint: certificate.fingerprint,
              signature: sign("sha256", signedBytes, privateKey),
            }),
          ]
        : [],
    );
    const certificatesPem = certificates.map((der) => encodePem([der]));
    return create(TrustBundleSchema, {
      trustDomain: this.trustDomain,
      sequence: this.sequence,
      certificatesPem,
      signatures,
    });
  }

  /** The certificate of a member: for its peer service, and as a client of the store and of other members. */
  issueMember({ name, publicKey, ipAddress, nowMs, lifeMs }: MemberCertificateRequest): Promise<IssuedCertificate> {
    return this.#issue({
      spiffeId: formatWardlineId({ trustDomain: this.trustDomain, kind: "host", name }),
      commonName: storeUserOf(name),
      publicKey,
      dnsNames: [name],
      ipAddresses: [ipAddress],
      nowMs,
      lifeMs: lifeMs ?? MEMBER_LIFE_MS,
    });
  }

  /** For a server that is no member. Throws `Failure` INVALID_ARGUMENT. */
  issueServer(request: ServerCertificateRequest): Promise<IssuedCertificate> {
    checkServerRequest(request);
    const spiffeId = formatWardlineId({ trustDomain: this.trustDomain, kind: "server", name: request.name });
    return this.#issue({ ...request, spiffeId, commonName: serverUserOf(request.name) });
  }

  /** What a candidate shows to an etcd for minutes, to set up its users. No member can have its common name. */
  issueStoreAdministrator(publicKey: KeyObject, nowMs: number): Promise<IssuedCertificate> {
    const spiffeId = formatWardlineId({ trustDomain: this.trustDomain, kind: "server", name: "store-administrator" });
    const names = { dnsNames: [], ipAddresses: [] };
    return this.#issue({
      spiffeId,
      commonName: STORE_ADMINISTRATOR,
      publicKey,
      ...names,
      nowMs,
      lifeMs: 10 * MINUTE_MS,
    });
  }

  /** The next root, trusted from now on and not signing. Throws `Failure` ALREADY_EXISTS when there is one. */
  async withNextRoot(nowMs: number): Promise<Authority> {
    if (this.#roots.some(({ state }) => state === RootState.NEXT)) throw exists("There is a next root already.");
    const next = await newRoot(this.clusterName, this.trustDomain, nowMs, RootState.NEXT);
    return this.#with([...this.#roots, next]);
  }

  /** The next root signs; the key of the one that did is dropped. Throws `Failure` NOT_FOUND when there is no next root. */
  withNextRootSigning(nowMs: number): Authority {
    if (!this.#roots.some(({ state }) => state === RootState.NEXT)) throw missing("There is no next root.");
    const roots = this.#roots.map((root): AuthorityRootState => {
      if (root.state === RootState.NEXT) return { ...root, state: RootState.SIGNING, sinceMs: nowMs };
      if (root.state !== RootState.SIGNING) return root;
      return { ...root, state: RootState.RETIRING, sinceMs: nowMs, privateKey: null };
    });
    return this.#with(roots);
  }

  /** Without the roots that signed nothing for as long as a certificate can last; the same authority when there are none. */
  withoutRetired(nowMs: number): Authority {
    const isOver = ({ state, sinceMs }: AuthorityRootState) =>
      state === RootState.RETIRING && nowMs - sinceMs > MAX_SERVER_LIFE_MS + CLOCK_SKEW_MS;
    const roots = this.#roots.filter((root) => !isOver(root));
    return roots.length === this.#roots.length ? this : this.#with(roots);
  }

  #with(roots: readonly AuthorityRootState[]): Authority {
    const { clusterName, trustDomain, sequence } = this;
    return new Authority({ clusterName, trustDomain, sequence: sequence + 1n, roots });
  }

  get #signing(): AuthorityRootState {
    return this.#roots.find(({ state }) => state === RootState.SIGNING) as AuthorityRootState;
  }

  async #issue({ nowMs, lifeMs, ...request }: IssueRequest): Promise<IssuedCertificate> {
    const { certificate, privateKey } = this.#signing;
    const startsAtMs = wholeSeconds(Math.max(nowMs - CLOCK_SKEW_MS, certificate.startsAtMs));
    const expiresAtMs = wholeSeconds(Math.min(nowMs + lifeMs, certificate.expiresAtMs));
    if (expiresAtMs <= nowMs) throw damaged("its root is over");
    const root = certificate.x509.raw;
    const leaf = await writeLeaf(
      { ...request, startsAtMs, expiresAtMs },
      { certificate: root, privateKey: privateKey as KeyObject },
    );
    const keyFingerprint = fingerprintOfKey(request.publicKey);
    return { chainPem: encodePem([leaf, root]), spiffeId: request.spiffeId, keyFingerprint, startsAtMs, expiresAtMs };
  }
}

interface IssueRequest extends Omit<LeafRequest, "startsAtMs" | "expiresAtMs"> {
  readonly nowMs: number;
  readonly lifeMs: number;
}

/** Certificates know no parts of a second. */
const wholeSeconds = (ms: number) => Math.floor(ms / 1000) * 1000;

async function newRoot(
  clusterName: string,
  trustDomain: string,
  nowMs: number,
  state: RootState,
): Promise<AuthorityRootState> {
  const keys: KeyPair = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const startsAtMs = wholeSeconds(nowMs - HOUR_MS);
  const expiresAtMs = wholeSeconds(nowMs + ROOT_LIFE_MS);
  // The name differs from root to root, so that a chain is built to the right one.
  const commonName = `Wardline ${clusterName.slice(0, 32)} ${fingerprintOfKey(keys.publicKey).slice(0, 16)}`;
  const der = await writeRoot({ keys, commonName, trustDomain, startsAtMs, expiresAtMs });
  return { certificate: readCertificate(der), state, sinceMs: nowMs, privateKey: keys.privateKey };
}

function openKey(sealed: Uint8Array, sealKey: Uint8Array, purpose: string, root: CertificateFacts): KeyObject {
  const secret = open(sealed, sealKey, purpose);
  try {
    const key = createPrivateKey({ key: secret, format: "der", type: "pkcs8" });
    if (fingerprintOfKey(createPublicKey(key)) !== root.keyFingerprint) throw damaged("a key is not that of its root");
    return key;
  } finally {
    secret.fill(0);
  }
}
