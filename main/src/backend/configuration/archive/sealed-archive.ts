/** Files under a signed list of their digests. */
import { createHash } from "node:crypto";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { isSignedBy, type SigningKey } from "./signing-key.ts";
import { stableJson } from "./stable-json.ts";
import { type ArchiveEntry, readTar, writeTar } from "./tar.ts";

const ROOT = "wardline-configuration/";
const MANIFEST = `${ROOT}manifest.json`;
const SIGNATURE = `${ROOT}signature.json`;
const FORMAT = "wardline-configuration";
const FORMAT_VERSION = 1;
/** What is signed begins with this, so that no signature of something else is ever one of a manifest. */
const SIGNED_HEAD = Buffer.from("wardline configuration manifest 1\n");

export interface SealedFiles {
  /** Base64 of the key that signed. */
  readonly publicKey: string;
  /** By name inside the archive, without the folder around all. */
  readonly files: ReadonlyMap<string, Uint8Array>;
}

/** The same files and key give the same bytes. */
export function seal(files: ReadonlyMap<string, Uint8Array>, key: SigningKey): Uint8Array {
  const sorted = [...files].sort(([one], [other]) => (one < other ? -1 : 1));
  const manifest = Buffer.from(
    stableJson({
      format: FORMAT,
      version: FORMAT_VERSION,
      files: sorted.map(([path, content]) => ({ path, sha256: digestOf(content), sizeBytes: content.length })),
    }),
  );
  const signature = stableJson({
    algorithm: "ed25519",
    publicKey: key.publicKey,
    signature: Buffer.from(key.sign(signedBytes(manifest))).toString("base64"),
  });
  return writeTar([
    { name: MANIFEST, content: manifest },
    { name: SIGNATURE, content: Buffer.from(signature) },
    ...sorted.map(([path, content]): ArchiveEntry => ({ name: ROOT + path, content })),
  ]);
}

/** @throws Failure INVALID_ARGUMENT, TOO_LARGE, MANIFEST_INVALID (signature or a digest), VERSION_MISMATCH */
export function open(archive: Uint8Array): SealedFiles {
  const [manifest, signature, ...rest] = readTar(archive);
  if (manifest?.name !== MANIFEST || signature?.name !== SIGNATURE) {
    throw broken("The archive does not begin with a manifest and its signature.");
  }
  const { publicKey } = requireSignature(manifest.content, signature.content);
  const listed = readManifest(manifest.content);
  const files = new Map<string, Uint8Array>();
  for (const [index, { name, content }] of rest.entries()) {
    const wanted = listed[index];
    if (!wanted || name !== ROOT + wanted.path)
      throw broken(`${shown(name)} is not what the manifest lists in its place.`);
    if (wanted.sizeBytes !== content.length || wanted.sha256 !== digestOf(content)) {
      throw broken(`${shown(name)} is not the file that was signed: its digest is another one.`);
    }
    files.set(wanted.path, content);
  }
  const missing = listed[rest.length];
  if (missing) throw broken(`${shown(missing.path)} is in the manifest and not in the archive.`);
  return { publicKey, files };
}

/** Whether bytes are such an archive at all, for a quick look. */
export function looksLikeArchive(content: Uint8Array): boolean {
  return Buffer.from(content.subarray(0, MANIFEST.length)).toString("latin1") === MANIFEST;
}

function requireSignature(manifest: Uint8Array, content: Uint8Array): { publicKey: string } {
  const signature = readObject(content, "The signature");
  const { algorithm, publicKey, signature: bytes } = signature;
  if (algorithm !== "ed25519" || typeof publicKey !== "string" || typeof bytes !== "string") {
    throw broken("The signature is not one that this console knows.");
  }
  if (!isSignedBy(publicKey, signedBytes(manifest), Buffer.from(bytes, "base64"))) {
    throw broken("The signature does not fit: the archive was changed after it was signed, or was signed by nobody.");
  }
  return { publicKey };
}

function readManifest(content: Uint8Array) {
  const { format, version, files } = readObject(content, "The manifest");
  if (format !== FORMAT || !Array.isArray(files)) throw broken("The manifest is not one of a configuration.");
  if (version !== FORMAT_VERSION) {
    throw new Failure({
      code: ErrorCode.VERSION_MISMATCH,
      message: `The archive has format ${String(version).slice(0, 20)}; this console knows format ${FORMAT_VERSION}. Nothing was changed.`,
      hint: "Import it with the version of Wardline that exported it, or a newer one.",
    });
  }
  return files.map((file: unknown) => {
    const { path, sha256, sizeBytes } = (typeof file === "object" && file !== null ? file : {}) as Record<
      string,
      unknown
    >;
    if (typeof path !== "string" || typeof sha256 !== "string" || typeof sizeBytes !== "number") {
      throw broken("An entry of the manifest is damaged.");
    }
    return { path, sha256, sizeBytes };
  });
}

export function readObject(content: Uint8Array, what: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(Buffer.from(content).toString("utf8"));
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // Said below.
  }
  throw broken(`${what} cannot be read.`);
}

function signedBytes(manifest: Uint8Array): Uint8Array {
  return Buffer.concat([SIGNED_HEAD, manifest]);
}

function digestOf(content: Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}

function shown(name: string): string {
  return JSON.stringify(name.length > 120 ? `${name.slice(0, 120)}…` : name);
}

function broken(message: string): Failure {
  return new Failure({
    code: ErrorCode.MANIFEST_INVALID,
    message: `${message} Nothing was changed.`,
    hint: "Ask for the archive anew, and compare the fingerprint with the person who exported it.",
  });
}
