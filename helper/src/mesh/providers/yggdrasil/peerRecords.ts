/**
 * What the agent keeps of a node between starts, in a file for its own eyes: peers that were added or removed here (the daemon forgets
 * both when it ends), which key a peer had when it was last seen, and the node's own.
 */
import { existsSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { canonicalMeshKey, MAX_PEER_URI_BYTES, shownUri } from "@wardline/domain/mesh";
import { replaceFile, toWriteFailure } from "../../../files/atomicFile.ts";
import { makeDirectory } from "../../../files/directory.ts";
import type { PeerAddress } from "../../ports.ts";

const FILE_NAME = "yggdrasil-peers.json";
const MAX_FILE_BYTES = 2 * 1024 * 1024;
const MAX_ENTRIES = 1_000;
/** Between two writes that only remember keys: they come from the daemon. */
const KEYS_PAUSE_MS = 30_000;

interface Kept {
  readonly added: readonly PeerAddress[];
  readonly removed: readonly PeerAddress[];
  readonly keys: ReadonlyMap<string, string>;
  readonly selfKey: string;
}

const NOTHING: Kept = { added: [], removed: [], keys: new Map(), selfKey: "" };

export class PeerRecords {
  readonly #directory: string;
  readonly #nowMs: () => number;
  #kept: Kept | null = null;
  #keysWrittenAtMs = Number.NEGATIVE_INFINITY;
  #writing: Promise<void> = Promise.resolve();

  constructor(directory: string, nowMs: () => number) {
    this.#directory = directory;
    this.#nowMs = nowMs;
  }

  /** Dialled by the daemon because somebody said so here. With their secrets. */
  added(): readonly PeerAddress[] {
    return this.#read().added;
  }

  /** In the configuration, and not dialled because somebody said so here. */
  removed(): readonly PeerAddress[] {
    return this.#read().removed;
  }

  /** Empty = never seen. */
  keyOf(shown: string): string {
    return this.#read().keys.get(shown) ?? "";
  }

  selfKey(): string {
    return this.#read().selfKey;
  }

  /** On disk when it returns. Throws `Failure` DISK_FULL or INTERNAL; then nothing is kept. */
  async noteAdded(peer: PeerAddress): Promise<void> {
    const { added, removed, ...rest } = this.#read();
    const others = added.filter((each) => !isSame(each, peer)).slice(-(MAX_ENTRIES - 1));
    await this.#write({ ...rest, added: [...others, peer], removed: removed.filter((each) => !isSame(each, peer)) });
  }

  /** The configuration names it, and it is dialled again. */
  async noteRestored(peer: PeerAddress): Promise<void> {
    const { removed, ...rest } = this.#read();
    if (!removed.some((each) => isSame(each, peer))) return;
    await this.#write({ ...rest, removed: removed.filter((each) => !isSame(each, peer)) });
  }

  /** @param isConfigured it is in the configuration, so that the daemon would dial it again after its next start */
  async noteRemoved(peer: PeerAddress, isConfigured: boolean): Promise<void> {
    const { added, removed, ...rest } = this.#read();
    const others = removed.filter((each) => !isSame(each, peer)).slice(-(MAX_ENTRIES - 1));
    await this.#write({
      ...rest,
      added: added.filter((each) => !isSame(each, peer)),
      removed: isConfigured ? [...others, peer] : others,
    });
  }

  /** Who was found where. What cannot be written is remembered as long as the agent runs. */
  noteKeys(selfKey: string, seen: ReadonlyMap<string, string>): void {
    const kept = this.#read();
    const isNew = selfKey !== kept.selfKey || [...seen].some(([shown, key]) => kept.keys.get(shown) !== key);
    if (!isNew) return;
    const keys = new Map([...kept.keys, ...seen]);
    while (keys.size > MAX_ENTRIES) keys.delete(keys.keys().next().value!);
    this.#kept = { ...kept, keys, selfKey };
    if (this.#nowMs() - this.#keysWrittenAtMs < KEYS_PAUSE_MS) return;
    this.#keysWrittenAtMs = this.#nowMs();
    void this.#write(this.#kept).catch(() => {});
  }

  /** Resolves when nothing is being written. Never rejects. */
  settled(): Promise<void> {
    return this.#writing;
  }

  #read(): Kept {
    this.#kept ??= load(join(this.#directory, FILE_NAME));
    return this.#kept;
  }

  async #write(kept: Kept): Promise<void> {
    const turn = this.#writing.then(async () => {
      try {
        makeDirectory(this.#directory, 0o700);
        const { added, removed, keys, selfKey } = kept;
        const document = { version: 1, added, removed, keys: Object.fromEntries(keys), selfKey };
        await replaceFile(join(this.#directory, FILE_NAME), `${JSON.stringify(document)}\n`);
        this.#kept = kept;
      } catch (error) {
        throw toWriteFailure(error, "The list of peers");
      }
    });
    this.#writing = turn.catch(() => {});
    await turn;
  }
}

/** Two spellings, or another password, make no other peer. */
export function isSame(left: PeerAddress, right: PeerAddress): boolean {
  return left.interfaceName === right.interfaceName && shownUri(left.uri) === shownUri(right.uri);
}

/** A damaged file is moved aside: what it said is lost, what the configuration says is not. */
function load(path: string): Kept {
  if (!existsSync(path)) return NOTHING;
  try {
    const text = readFileSync(path, "utf8");
    if (text.length > MAX_FILE_BYTES) throw new Error("too large");
    const { added, removed, keys, selfKey } = JSON.parse(text) as Record<string, unknown>;
    return {
      added: peersOf(added),
      removed: peersOf(removed),
      keys: new Map(
        Object.entries(Object(keys))
          .filter(([, key]) => typeof key === "string" && canonicalMeshKey(key) === key)
          .slice(0, MAX_ENTRIES) as [string, string][],
      ),
      selfKey: typeof selfKey === "string" ? (canonicalMeshKey(selfKey) ?? "") : "",
    };
  } catch {
    moveAside(path);
    return NOTHING;
  }
}

function moveAside(path: string): void {
  try {
    renameSync(path, `${path}.damaged`);
  } catch {
    // It will be replaced by the next that is written, or that tells why it cannot.
  }
}

function peersOf(value: unknown): PeerAddress[] {
  if (!Array.isArray(value)) throw new Error("not a list");
  return value.slice(0, MAX_ENTRIES).map((entry) => {
    const { uri, interfaceName } = Object(entry) as Record<string, unknown>;
    if (typeof uri !== "string" || uri === "" || uri.length > MAX_PEER_URI_BYTES) throw new Error("not a peer");
    return { uri, interfaceName: typeof interfaceName === "string" ? interfaceName : "" };
  });
}
