/** Reads the text of a manifest. It is signed, and still checked whole: a key may sign what another version understands. */
import type { AgentBinary, AgentManifest, ManifestFile } from "./manifest.ts";

export const MANIFEST_FORMAT = "wardline-agent-manifest/1";
const MAX_ENTRIES = 20;
const MAX_FILE_BYTES = 1024 ** 3;
const FILE_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;
const SHA256 = /^[0-9a-f]{64}$/;
const VERSION = /^\d{1,5}\.\d{1,5}\.\d{1,5}(-[0-9A-Za-z.-]{1,50})?$/;
const BUILD = /^[0-9A-Za-z._-]{1,100}$/;
const PLATFORM = /^[a-z0-9]{1,20}-[a-z0-9]{1,20}$/;

type Json = Readonly<Record<string, unknown>>;

/** `null` when anything is not as it should be. */
export function parseManifest(bytes: Uint8Array): AgentManifest | null {
  const json = parseJson(bytes);
  if (!isObject(json) || json.format !== MANIFEST_FORMAT) return null;
  const agents = list(json.agents, agentBinary);
  const services = list(json.services, manifestFile);
  if (!agents || !services || !isText(json.version, VERSION) || !isText(json.build, BUILD)) return null;
  return { version: json.version, build: json.build, agents, services };
}

function agentBinary(json: Json): AgentBinary | null {
  const packed = isObject(json.packed) ? manifestFile(json.packed) : null;
  const { platform, sizeBytes, sha256 } = json;
  if (!packed || !isText(platform, PLATFORM) || !isSize(sizeBytes) || !isText(sha256, SHA256)) return null;
  return { platform, sizeBytes, sha256, packed };
}

function manifestFile({ name, sizeBytes, sha256 }: Json): ManifestFile | null {
  return isText(name, FILE_NAME) && isSize(sizeBytes) && isText(sha256, SHA256) ? { name, sizeBytes, sha256 } : null;
}

function list<Entry>(value: unknown, read: (json: Json) => Entry | null): readonly Entry[] | null {
  if (!Array.isArray(value) || value.length > MAX_ENTRIES) return null;
  const entries = value.map((each: unknown) => (isObject(each) ? read(each) : null));
  return entries.every((entry) => entry !== null) ? entries : null;
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isText(value: unknown, pattern: RegExp): value is string {
  return typeof value === "string" && pattern.test(value);
}

function isSize(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value > 0 && value <= MAX_FILE_BYTES;
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString("utf8"));
  } catch {
    return null;
  }
}
