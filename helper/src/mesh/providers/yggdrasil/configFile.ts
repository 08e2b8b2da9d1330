/**
 * What the daemon's configuration says about its admin socket and its peers. The private key is in the same file: nothing else of it
 * is kept, and nothing of it is ever quoted.
 */
import { type FileHandle, open } from "node:fs/promises";
import { isErrno } from "../../../files/atomicFile.ts";
import type { PeerAddress } from "../../ports.ts";
import { HjsonError, readHjson } from "./hjson.ts";
import { CONFIG_PLACES } from "./places.ts";

const MAX_CONFIG_BYTES = 1024 * 1024;
const MAX_PEERS = 1_000;
const MAX_URI_LENGTH = 512;

export interface YggdrasilConfig {
  readonly path: string;
  /** `null` = not said: the daemon's own default. */
  readonly adminListen: string | null;
  readonly peers: readonly PeerAddress[];
}

export type ConfigReading =
  | { readonly kind: "read"; readonly config: YggdrasilConfig }
  | { readonly kind: "absent" }
  /** A sentence without anything of its content. */
  | { readonly kind: "unreadable"; readonly path: string; readonly problem: string };

/** Reads the file again only when it changed. Never rejects. */
export class ConfigFile {
  readonly #paths: readonly string[];
  #signature = "";
  #last: ConfigReading = { kind: "absent" };

  /** @param path `null` = the known places, the first that is there */
  constructor(path: string | null) {
    this.#paths = path === null ? CONFIG_PLACES : [path];
  }

  async current(): Promise<ConfigReading> {
    for (const path of this.#paths) {
      const reading = await this.#read(path);
      if (reading.kind !== "absent") return reading;
    }
    return { kind: "absent" };
  }

  async #read(path: string): Promise<ConfigReading> {
    let handle: FileHandle;
    try {
      handle = await open(path, "r");
    } catch (error) {
      if (isErrno(error, "ENOENT", "ENOTDIR")) return { kind: "absent" };
      return {
        kind: "unreadable",
        path,
        problem: isErrno(error, "EACCES") ? "it may not be read" : "it cannot be opened",
      };
    }
    try {
      const { size, mtimeMs, ctimeMs, ino } = await handle.stat();
      const signature = [path, size, mtimeMs, ctimeMs, ino].join(" ");
      if (signature === this.#signature) return this.#last;
      this.#last =
        size > MAX_CONFIG_BYTES ? unreadable(path, "it is larger than 1 MiB") : parse(path, await readAll(handle));
      this.#signature = signature;
      return this.#last;
    } catch {
      return unreadable(path, "it cannot be read");
    } finally {
      await handle.close();
    }
  }
}

async function readAll(handle: FileHandle): Promise<Buffer> {
  const buffer = Buffer.alloc(MAX_CONFIG_BYTES);
  const { bytesRead } = await handle.read(buffer, 0, MAX_CONFIG_BYTES, 0);
  return buffer.subarray(0, bytesRead);
}

function parse(path: string, bytes: Buffer): ConfigReading {
  try {
    const document = readHjson(decode(bytes));
    if (!isRecord(document)) return unreadable(path, "it is no configuration");
    const { adminlisten, peers, interfacepeers } = lowerCased(document);
    const named = isRecord(interfacepeers) ? Object.entries(interfacepeers) : [];
    const all = [...readPeers(peers, ""), ...named.flatMap(([name, uris]) => readPeers(uris, name.slice(0, 64)))];
    const adminListen = typeof adminlisten === "string" ? adminlisten.slice(0, MAX_URI_LENGTH) : null;
    return { kind: "read", config: { path, adminListen, peers: all.slice(0, MAX_PEERS) } };
  } catch (error) {
    if (!(error instanceof HjsonError)) throw error;
    return unreadable(path, `it is not understood, ${error.message}`);
  }
}

/** UTF-16 with its mark, as editors of Windows save it, or UTF-8. */
function decode(bytes: Buffer): string {
  const [first, second] = bytes;
  if (first === 0xff && second === 0xfe) return new TextDecoder("utf-16le").decode(bytes);
  if (first === 0xfe && second === 0xff) return new TextDecoder("utf-16be").decode(bytes);
  return new TextDecoder("utf-8").decode(bytes);
}

function readPeers(value: unknown, interfaceName: string): PeerAddress[] {
  if (!Array.isArray(value)) return [];
  const uris = value.filter((uri): uri is string => typeof uri === "string" && uri.length <= MAX_URI_LENGTH);
  return uris.filter((uri) => uri !== "").map((uri) => ({ uri, interfaceName }));
}

/** The daemon does not mind the case of names. */
function lowerCased(document: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(document).map(([name, value]) => [name.toLowerCase(), value]));
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function unreadable(path: string, problem: string): ConfigReading {
  return { kind: "unreadable", path, problem };
}
