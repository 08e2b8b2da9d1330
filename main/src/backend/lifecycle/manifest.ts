/**
 * What this console can install: the signed manifest of the agent's build and the files that it names. Nothing is sent to
 * a host before the signature was checked against a trusted key and the file against its SHA-256.
 */
import { createHash, createPublicKey, type KeyObject, verify } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { MANIFEST_FORMAT, parseManifest } from "./manifest-format.ts";

const SIGNED_PREFIX = `${MANIFEST_FORMAT}\n`;
const MAX_MANIFEST_BYTES = 64 * 1024;
const BUILD_HINT = "Build it with `npm run build:agent`; `npm start` does not.";

export interface ManifestFile {
  readonly name: string;
  readonly sizeBytes: number;
  /** 64 hex digits. */
  readonly sha256: string;
}

export interface AgentBinary {
  /** As Node names them: `linux-x64`. */
  readonly platform: string;
  /** Of the executable, unpacked. */
  readonly sizeBytes: number;
  readonly sha256: string;
  /** The file that is sent: the executable, compressed with gzip. */
  readonly packed: ManifestFile;
}

export interface AgentManifest {
  readonly version: string;
  readonly build: string;
  readonly agents: readonly AgentBinary[];
  /** Files of systemd and launchd. */
  readonly services: readonly ManifestFile[];
}

export interface TrustedKey {
  /** `SHA256:…` over the key as SPKI. */
  readonly id: string;
  readonly key: KeyObject;
  /** For people: `the release key "2026"` or `this checkout's own key`. */
  readonly name: string;
}

export interface VerifiedManifest extends AgentManifest {
  /** Completes the sentence "signed by …". */
  readonly signedBy: string;
}

export interface PackageLocation {
  /** Directory with manifest.json and the files that it names. */
  readonly directory: string;
  /** Directory with `<name>.pem` for each release key. */
  readonly releaseKeysDir: string;
  /** Public key of the checkout that the console runs from; absent in an installed console. */
  readonly checkoutKeyPath?: string;
}

/** @throws Failure MANIFEST_INVALID when a key file is none */
export function readTrustedKeys({ releaseKeysDir, checkoutKeyPath }: PackageLocation): readonly TrustedKey[] {
  const names = listDirectory(releaseKeysDir).filter((name) => name.endsWith(".pem"));
  const keys = names.map((name) => readKey(join(releaseKeysDir, name), `the release key "${name.slice(0, -4)}"`));
  if (checkoutKeyPath !== undefined) keys.push(readKey(checkoutKeyPath, "this checkout's own key"));
  return keys.filter((key) => key !== null);
}

/** @throws Failure MANIFEST_INVALID */
export function verifyManifest(bytes: Uint8Array, signature: string, keys: readonly TrustedKey[]): VerifiedManifest {
  const [, id = "", encoded = ""] =
    /^ed25519 (SHA256:[A-Za-z0-9+/]{43}) ([A-Za-z0-9+/]{86}==)\n?$/.exec(signature) ?? [];
  if (id === "") throw invalid("Its signature is not one.", BUILD_HINT);
  const key = keys.find((candidate) => candidate.id === id);
  if (!key) {
    const trusted = keys.map((each) => `${each.name} (${each.id})`).join(", ") || "none";
    throw invalid(`It is signed by a key that is not trusted here: ${id}.`, `Trusted are: ${trusted}. ${BUILD_HINT}`);
  }
  const signed = Buffer.concat([Buffer.from(SIGNED_PREFIX), bytes]);
  if (!verify(null, signed, key.key, Buffer.from(encoded, "base64"))) {
    throw invalid(`It was changed after ${key.name} signed it.`, "Get the files again from where they came.");
  }
  const manifest = parseManifest(bytes);
  if (!manifest) {
    throw invalid("It is of another format than this console knows.", "Console and agent must come from one build.");
  }
  return { ...manifest, signedBy: key.name };
}

/** The agent as this console can install it. Files are read and checked once and kept while they do not change. */
export class AgentPackage {
  readonly #location: PackageLocation;
  readonly #kept = new Map<string, { readonly stamp: string; readonly content: Uint8Array }>();

  constructor(location: PackageLocation) {
    this.#location = location;
  }

  /** Reads and verifies the manifest anew: a build may have replaced it. @throws Failure MANIFEST_INVALID, NOT_FOUND */
  async manifest(): Promise<VerifiedManifest> {
    const { directory } = this.#location;
    const [bytes, signature] = await Promise.all([
      readSmall(join(directory, "manifest.json")),
      readSmall(join(directory, "manifest.sig")),
    ]);
    return verifyManifest(bytes, Buffer.from(signature).toString("latin1"), readTrustedKeys(this.#location));
  }

  /** The content of a file, after its size and SHA-256 were found to be those of the manifest. @throws Failure */
  async content(file: ManifestFile): Promise<Uint8Array> {
    const path = join(this.#location.directory, file.name);
    const stamp = `${await stampOf(path)} ${file.sha256}`;
    const kept = this.#kept.get(file.name);
    if (kept?.stamp === stamp) return kept.content;
    const content = await readFile(path);
    if (content.length !== file.sizeBytes || createHash("sha256").update(content).digest("hex") !== file.sha256) {
      throw invalid(`${path} is not the file that the manifest promises.`, BUILD_HINT);
    }
    this.#kept.set(file.name, { stamp, content });
    return content;
  }

  /** Lets go of what was read: the executable has tens of megabytes. */
  release(): void {
    this.#kept.clear();
  }
}

async function stampOf(path: string): Promise<string> {
  try {
    const { size, mtimeMs, ino } = await stat(path);
    return `${size} ${mtimeMs} ${ino}`;
  } catch (error) {
    throw missing(path, error);
  }
}

async function readSmall(path: string): Promise<Uint8Array> {
  await stampOf(path);
  const content = await readFile(path);
  if (content.length > MAX_MANIFEST_BYTES) throw invalid(`${path} is too large.`, BUILD_HINT);
  return content;
}

function readKey(path: string, name: string): TrustedKey | null {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return null;
  }
  try {
    const key = createPublicKey(text);
    if (key.asymmetricKeyType !== "ed25519") throw new Error(`its type is ${key.asymmetricKeyType}`);
    const spki = key.export({ type: "spki", format: "der" });
    const digest = createHash("sha256").update(spki).digest("base64").replace(/=+$/, "");
    return { id: `SHA256:${digest}`, key, name };
  } catch (error) {
    throw invalid(
      `${path} is not an Ed25519 public key: ${String((error as Error).message)}.`,
      "Replace or remove it.",
    );
  }
}

function listDirectory(directory: string): string[] {
  try {
    return readdirSync(directory).sort();
  } catch {
    return [];
  }
}

function missing(path: string, cause: unknown): Failure {
  return new Failure(
    {
      code: ErrorCode.NOT_FOUND,
      message: `This console has no agent to install: ${path} is not there.`,
      hint: BUILD_HINT,
    },
    { cause },
  );
}

function invalid(problem: string, hint: string): Failure {
  return new Failure({
    code: ErrorCode.MANIFEST_INVALID,
    message: `The manifest of the agent cannot be trusted. ${problem} Nothing was sent.`,
    hint,
  });
}
