/** The key that signs what this console exports: Ed25519, in the state directory, readable by this user alone. */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from "node:crypto";
import {
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  lstatSync,
  openSync,
  readFileSync,
  rmSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { ErrorCode, Failure } from "@wardline/domain/errors";

export const KEY_FILE = "configuration-key.pem";
const RAW_BYTES = 32;
/** DER of an Ed25519 public key up to the key itself. */
const SPKI_HEAD = Buffer.from("302a300506032b6570032100", "hex");

export interface SigningKey {
  /** Base64 of the 32 bytes. */
  readonly publicKey: string;
  readonly fingerprint: string;
  sign(message: Uint8Array): Uint8Array;
}

/** `SHA256:` and base64 without padding, as ssh shows keys. */
export function fingerprintOf(publicKey: string): string {
  return `SHA256:${createHash("sha256").update(Buffer.from(publicKey, "base64")).digest("base64").replace(/=+$/, "")}`;
}

/** `null` = nothing was exported yet. @throws Failure PERMISSION_DENIED when others could have read it */
export function readSigningKey(stateDir: string): SigningKey | null {
  const path = join(stateDir, KEY_FILE);
  if (!existsSync(path)) return null;
  const { mode } = lstatSync(path);
  if ((mode & 0o077) !== 0 || (mode & 0o170000) !== 0o100000) {
    throw keyFailure(
      `The key ${path} can be read by others, so nobody can rely on what it signs.`,
      "Move it away to have a new one made, and let others know the new fingerprint.",
    );
  }
  try {
    return toKey(createPrivateKey(readFileSync(path)));
  } catch {
    throw keyFailure(`The key ${path} is damaged.`, "Move it away to have a new one made.");
  }
}

/** Makes it the first time. Of two processes that do, one key counts. */
export function ownSigningKey(stateDir: string): SigningKey {
  const known = readSigningKey(stateDir);
  if (known) return known;
  const { privateKey } = generateKeyPairSync("ed25519");
  const path = join(stateDir, KEY_FILE);
  const partialPath = `${path}.partial-${process.pid}`;
  rmSync(partialPath, { force: true });
  const file = openSync(partialPath, "wx", 0o600);
  try {
    writeSync(file, String(privateKey.export({ type: "pkcs8", format: "pem" })));
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  try {
    // Never over a key that is there.
    linkSync(partialPath, path);
  } catch (error) {
    if (!existsSync(path)) throw error;
  } finally {
    rmSync(partialPath, { force: true });
  }
  const made = readSigningKey(stateDir);
  if (!made) throw new Error("the key just written is missing");
  return made;
}

/** @throws Failure INVALID_ARGUMENT */
export function checkedPublicKey(given: string): string {
  const bytes = Buffer.from(given.trim(), "base64");
  if (bytes.length === RAW_BYTES && bytes.toString("base64") === given.trim()) return given.trim();
  throw new Failure({
    code: ErrorCode.INVALID_ARGUMENT,
    message: "This is not a key: 32 bytes of an Ed25519 public key in base64 were expected.",
    hint: "`wardline config show-key` prints the key of a console.",
  });
}

/** False for anything that is not a signature of that key. */
export function isSignedBy(publicKey: string, message: Uint8Array, signature: Uint8Array): boolean {
  try {
    const der = Buffer.concat([SPKI_HEAD, Buffer.from(checkedPublicKey(publicKey), "base64")]);
    return verify(null, message, createPublicKey({ key: der, format: "der", type: "spki" }), signature);
  } catch {
    return false;
  }
}

function toKey(privateKey: KeyObject): SigningKey {
  if (privateKey.asymmetricKeyType !== "ed25519") throw new Error("another kind of key");
  const der = createPublicKey(privateKey).export({ type: "spki", format: "der" });
  const publicKey = der.subarray(-RAW_BYTES).toString("base64");
  return { publicKey, fingerprint: fingerprintOf(publicKey), sign: (message) => sign(null, message, privateKey) };
}

function keyFailure(message: string, hint: string): Failure {
  return new Failure({ code: ErrorCode.PERMISSION_DENIED, message, hint });
}
