/** Private keys in files: read with care, opened with a passphrase only when a machine wants them. */
import { createHash, createPrivateKey } from "node:crypto";
import { constants } from "node:fs";
import { open } from "node:fs/promises";
// Node does not find `utils` among the names that ssh2 exports; it is a member of its default.
import ssh2, { type ParsedKey } from "ssh2";
import { errorCode } from "../config/config-files.ts";
import { type PublicKey, readPublicKey, readPublicKeyText } from "../keys/public-key.ts";

const LARGEST_KEY_BYTES = 64 * 1024;
const MAGIC = Buffer.from("openssh-key-v1\0", "latin1");

export interface KeyFile {
  readonly path: string;
  /** `null` when only its passphrase tells. */
  readonly publicKey: PublicKey | null;
  /** `null` when only the public key is there: then an agent may hold the private one. */
  readonly text: string | null;
  readonly isEncrypted: boolean;
  /** A certificate lies beside it. */
  readonly hasCertificate: boolean;
}

export type KeyFileResult = KeyFile | { readonly path: string; readonly problem: string };

/** `null` when nothing is there. */
export async function readKeyFile(path: string): Promise<KeyFileResult | null> {
  const [privateText, publicText, certificate] = await Promise.all([
    readText(path, true),
    readText(path.endsWith(".pub") ? path : `${path}.pub`, false),
    readText(`${path}-cert.pub`, false),
  ]);
  const beside = typeof publicText === "string" ? readPublicLine(publicText) : null;
  const hasCertificate = typeof certificate === "string";
  if (privateText === null || path.endsWith(".pub")) {
    return beside && { path, publicKey: beside, text: null, isEncrypted: false, hasCertificate };
  }
  if (typeof privateText !== "string") return { path, problem: privateText.problem };
  // Some people name the public file.
  const own = readPublicLine(privateText);
  if (own) return { path, publicKey: own, text: null, isEncrypted: false, hasCertificate };
  const header = readOpenSshHeader(privateText);
  if (header) {
    return { path, publicKey: header.publicKey, text: privateText, isEncrypted: header.isEncrypted, hasCertificate };
  }
  const parsed = parsePrivate(privateText);
  if (!(parsed instanceof Error)) {
    const blob = ([parsed].flat()[0] as ParsedKey).getPublicSSH();
    return { path, publicKey: readPublicKey(blob), text: privateText, isEncrypted: false, hasCertificate };
  }
  if (/ENCRYPTED|no passphrase given/.test(`${privateText.slice(0, 300)} ${parsed.message}`)) {
    return { path, publicKey: beside, text: privateText, isEncrypted: true, hasCertificate };
  }
  return { path, problem: "it is not a private key" };
}

/** `null` when the passphrase is wrong. @throws Error for a key that cannot be used at all */
export function openPrivateKey(text: string, passphrase: string | null): ParsedKey | null {
  const parsed = parsePrivate(text, passphrase ?? undefined);
  if (!(parsed instanceof Error)) {
    const key = [parsed].flat()[0] as ParsedKey;
    if (!key.isPrivateKey()) throw new Error("it is not a private key");
    return key;
  }
  if (passphrase !== null && /passphrase|integrity|decrypt|malformed/i.test(parsed.message)) return null;
  throw new Error(parsed.message);
}

function parsePrivate(text: string, passphrase?: string): ParsedKey | ParsedKey[] | Error {
  if (!/^-----BEGIN (?:ENCRYPTED )?PRIVATE KEY-----/m.test(text)) return ssh2.utils.parseKey(text, passphrase);
  try {
    // ssh2 does not know PKCS #8; Node does, and writes the formats that ssh2 knows.
    const key = createPrivateKey({ key: text, format: "pem", ...(passphrase === undefined ? {} : { passphrase }) });
    const type = key.asymmetricKeyType === "ec" ? "sec1" : "pkcs1";
    return ssh2.utils.parseKey(key.export({ type, format: "pem" }) as string);
  } catch (error) {
    return new Error(`no passphrase, or a wrong one (${errorCode(error)})`);
  }
}

/** Keys that were opened, by their file's content. They live as long as the process; nothing writes them anywhere. */
export class OpenedKeys {
  readonly #keys = new Map<string, ParsedKey>();

  get(text: string): ParsedKey | undefined {
    return this.#keys.get(digest(text));
  }

  set(text: string, key: ParsedKey): void {
    this.#keys.set(digest(text), key);
  }

  clear(): void {
    this.#keys.clear();
  }
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("base64");
}

function readPublicLine(text: string): PublicKey | null {
  const [type, base64] = text.trimStart().split(/\s+/, 2);
  const key = base64 === undefined ? null : readPublicKeyText(base64);
  return key && key.type === type ? key : null;
}

/** PROTOCOL.key of OpenSSH: what stands before the private part is never encrypted. */
function readOpenSshHeader(text: string): { publicKey: PublicKey | null; isEncrypted: boolean } | null {
  const [, base64] = /-----BEGIN OPENSSH PRIVATE KEY-----([A-Za-z0-9+/=\s]+)-----END/.exec(text) ?? [];
  if (base64 === undefined) return null;
  const bytes = Buffer.from(base64, "base64");
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC)) return null;
  let at = MAGIC.length;
  const field = () => {
    const end = at + 4 + (at + 4 <= bytes.length ? bytes.readUInt32BE(at) : Number.POSITIVE_INFINITY);
    if (end > bytes.length) return null;
    const value = bytes.subarray(at + 4, end);
    at = end;
    return value;
  };
  const cipher = field()?.toString("latin1");
  field();
  field();
  at += 4;
  const blob = field();
  return { publicKey: blob && readPublicKey(blob), isEncrypted: cipher !== "none" };
}

async function readText(path: string, isPrivate: boolean): Promise<string | null | { problem: string }> {
  try {
    const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const status = await handle.stat();
      if (!status.isFile()) return { problem: "it is not a file" };
      if (status.size > LARGEST_KEY_BYTES) return { problem: "it is too large for a key" };
      const isOpen = isPrivate && process.platform !== "win32" && (status.mode & 0o077) !== 0;
      const text = await handle.readFile("utf8");
      // As ssh: what others may read is no secret any more. A public key that is named instead is none either.
      if (isOpen && readPublicLine(text) === null) {
        return { problem: `others may read it; repair it with: chmod 600 ${path}` };
      }
      return text;
    } finally {
      await handle.close();
    }
  } catch (error) {
    const code = errorCode(error);
    return code === "ENOENT" || code === "ENOTDIR" ? null : { problem: `it could not be read (${code})` };
  }
}
