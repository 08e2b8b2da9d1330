/**
 * Questions to one daemon. What it is and can do is asked anew when its socket is another, after every trouble, and every 10 s; its
 * peers are asked for each time.
 */
import { statSync } from "node:fs";
import { type AdminEndpoint, AdminError, askAdmin } from "./adminSocket.ts";
import {
  type Abilities,
  type PathReply,
  type PeerReply,
  readAbilities,
  readPaths,
  readPeers,
  readSelf,
  readTree,
  readTun,
  requestOf,
  type SelfReply,
  type TreeReply,
  type TunReply,
  unpack,
} from "./replies.ts";
import type { Fields } from "./shapes.ts";

const LOOKED_AT_FOR_MS = 10_000;

export interface DaemonFacts {
  readonly abilities: Abilities;
  readonly self: SelfReply;
  readonly tun: TunReply;
  readonly paths: readonly PathReply[];
  readonly tree: readonly TreeReply[];
}

export interface DaemonAnswer extends DaemonFacts {
  readonly peers: readonly PeerReply[];
  /** It started, or is another one, since it was asked before. */
  readonly isNew: boolean;
}

interface Known {
  readonly facts: DaemonFacts;
  readonly identity: string;
  readonly atMs: number;
}

export class Daemon {
  readonly #nowMs: () => number;
  #known: Known | null = null;
  /** Of the daemon that was told about peers last. */
  #greeted = "";

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** Throws `AdminError`. What was known is forgotten then. */
  async read(endpoint: AdminEndpoint, signal: AbortSignal): Promise<DaemonAnswer> {
    try {
      const known = this.#known;
      const identity = identityOf(endpoint);
      if (known === null || known.identity !== identity) return await this.#readAll(endpoint, identity, signal);
      if (this.#nowMs() - known.atMs >= LOOKED_AT_FOR_MS) return await this.#readAll(endpoint, identity, signal);
      const peers = await this.#peers(endpoint, known.facts.abilities, signal);
      // Another release took its place between two questions.
      if (peers === null) return await this.#readAll(endpoint, identity, signal);
      return { ...known.facts, peers, isNew: false };
    } catch (error) {
      this.#known = null;
      this.#greeted = "";
      throw error;
    }
  }

  /** Tells the daemon to change something. Throws `AdminError`. */
  async tell(
    endpoint: AdminEndpoint,
    { generation }: Abilities,
    name: string,
    values: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<void> {
    unpack(await askAdmin(endpoint, requestOf(generation, name, values), signal));
  }

  async abilities(endpoint: AdminEndpoint, signal: AbortSignal): Promise<Abilities> {
    return this.#known?.facts.abilities ?? readAbilities(unpack(await askAdmin(endpoint, { request: "list" }, signal)));
  }

  async #readAll(endpoint: AdminEndpoint, identity: string, signal: AbortSignal): Promise<DaemonAnswer> {
    const abilities = readAbilities(unpack(await askAdmin(endpoint, { request: "list" }, signal)));
    const { generation, commands } = abilities;
    const ask = async <T>(name: string, read: (fields: Fields, generation: "0.4.0" | "0.4.5" | "0.5") => T) =>
      read(unpack(await askAdmin(endpoint, requestOf(generation, name), signal)), generation);
    const askIfThere = async <T>(name: string, read: (fields: Fields, of: Abilities["generation"]) => T, without: T) =>
      commands.has(name) ? await ask(name, read).catch((error) => unlessRefused(error, without)) : without;
    const [self, tun, paths, tree, peers] = await Promise.all([
      ask("getself", readSelf),
      askIfThere<TunReply>(generation === "0.4.0" ? "gettuntap" : "gettun", readTun, { name: "", mtuBytes: null }),
      askIfThere<readonly PathReply[]>("getpaths", readPaths, []),
      askIfThere<readonly TreeReply[]>("gettree", readTree, []),
      ask("getpeers", readPeers),
    ]);
    const facts = { abilities, self, tun, paths, tree };
    this.#known = { facts, identity, atMs: this.#nowMs() };
    const isNew = this.#greeted !== `${identity} ${self.key}`;
    this.#greeted = `${identity} ${self.key}`;
    return { ...facts, peers, isNew };
  }

  /** `null` = in another shape than what it said that it speaks. */
  async #peers(endpoint: AdminEndpoint, { generation }: Abilities, signal: AbortSignal) {
    try {
      return readPeers(unpack(await askAdmin(endpoint, requestOf(generation, "getpeers"), signal)), generation);
    } catch (error) {
      if (error instanceof AdminError && (error.problem === "shape" || error.problem === "refusal")) return null;
      throw error;
    }
  }
}

/** A question that is only one of many: that it is refused makes nothing else untrue. */
function unlessRefused<T>(error: unknown, without: T): T {
  if (error instanceof AdminError && error.problem === "refusal") return without;
  throw error;
}

/** A daemon makes its socket anew when it starts. */
function identityOf(endpoint: AdminEndpoint): string {
  if (endpoint.kind === "tcp") return `${endpoint.host} ${endpoint.port}`;
  const found = statSync(endpoint.path, { throwIfNoEntry: false });
  return `${endpoint.path} ${found?.ino ?? 0} ${found?.ctimeMs ?? 0}`;
}
