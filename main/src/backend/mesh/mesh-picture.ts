/**
 * The meshes of all hosts as one picture, made anew from what hosts say at most twice a second: a fleet of thousands says
 * something all the time.
 */
import type { MeshObservation } from "@wardline/api/wardline/v1/mesh";
import {
  isEmptyDelta,
  type MeshDelta,
  type MeshFigures,
  type MeshGraph,
  MeshTopologyBuilder,
} from "@wardline/domain/mesh";
import { ChangeSignal } from "../async/signal.ts";
import { type HostRegistry, hostNameOf, type ManagedHost } from "../hosts/managed-host.ts";
import type { Clock } from "../ports.ts";
import type { HostMesh, HostMeshes } from "./host-meshes.ts";

const SHORTEST_INTERVAL_MS = 500;
/** Words expire, flapping ends. */
const TICK_MS = 1_000;
/** Of the time that this process has, the picture takes so much at most. */
const MOST_OF_THE_TIME = 0.1;

export interface MeshPicturePorts {
  readonly registry: HostRegistry;
  readonly hosts: HostMeshes;
  readonly clock: Clock;
  /** Milliseconds of work of this process that an update took (tests). */
  readonly onUpdate?: (tookMs: number) => void;
}

/** What is known of one host in the picture. */
interface Shown {
  readonly name: string;
  readonly groups: string;
  readonly observation: HostMesh["observation"];
  readonly isFollowed: boolean;
}

export class MeshPicture {
  /** Notifies after the picture, or what is said of healing, has changed: at most twice a second. */
  readonly changes = new ChangeSignal();
  readonly #ports: MeshPicturePorts;
  readonly #builder = new MeshTopologyBuilder();
  readonly #shown = new Map<string, Shown>();
  #refused: readonly string[] = [];
  #listeners: ((delta: MeshDelta) => void)[] = [];

  constructor(ports: MeshPicturePorts) {
    this.#ports = ports;
  }

  /** Until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { hosts, registry, clock } = this.#ports;
    let [seenHosts, seenRegistry] = [-1, -1];
    const news = new ChangeSignal();
    const leave = [hosts.changes, registry.changes].map((source) => source.subscribe(() => news.notify()));
    try {
      while (!signal.aborted) {
        const seen = news.version;
        const startedAtMs = performance.now();
        const hasNews = hosts.changes.version !== seenHosts || registry.changes.version !== seenRegistry;
        [seenHosts, seenRegistry] = [hosts.changes.version, registry.changes.version];
        const isOther = this.#advance();
        // Everybody who is told asks for these: they belong to what an update costs.
        if (isOther) this.#builder.figures();
        if (isOther || hasNews) this.changes.notify();
        const tookMs = performance.now() - startedAtMs;
        this.#ports.onUpdate?.(tookMs);
        await clock.sleep(Math.max(SHORTEST_INTERVAL_MS, tookMs / MOST_OF_THE_TIME), signal);
        await news.wait(seen, TICK_MS - SHORTEST_INTERVAL_MS, signal);
      }
    } finally {
      for (const end of leave) end();
    }
  }

  /** At once, for a process that does not follow hosts. */
  update(): void {
    if (this.#advance()) this.changes.notify();
  }

  /** Called after each change, with what it was. Returns the disposer. */
  onDelta(listener: (delta: MeshDelta) => void): () => void {
    this.#listeners = [...this.#listeners, listener];
    return () => {
      this.#listeners = this.#listeners.filter((each) => each !== listener);
    };
  }

  graph(): MeshGraph {
    return this.#builder.topology();
  }

  figures(): MeshFigures {
    return this.#builder.figures();
  }

  /** `null` = too long ago: take the graph whole. */
  changesSince(revision: number): MeshDelta | null {
    return this.#builder.changesSince(revision);
  }

  /** The newest word of a host, by its name in the picture. */
  observation(name: string): MeshObservation | undefined {
    return this.#builder.observation(name);
  }

  /** Why the word of a host does not count; sentences. */
  problems(): string[] {
    return [...this.#refused];
  }

  #advance(): boolean {
    const nowMs = this.#ports.clock.nowMs();
    const before = this.#builder.topology().revision;
    this.#takeHosts(nowMs);
    this.#take(this.#builder.tick(nowMs));
    return this.#builder.topology().revision !== before;
  }

  #takeHosts(nowMs: number): void {
    const { registry, hosts } = this.#ports;
    // Many consoles run on a machine without an agent: it is no host of the mesh before it was ever heard of.
    const managed = registry.hosts.filter(({ local, connection }) => !local || connection.state.lastHeardAtMs > 0);
    const names = uniqueNames(managed);
    for (const [hostId, { name }] of this.#shown) {
      if (names.get(hostId) === name) continue;
      this.#take(this.#builder.forgetHost(name, nowMs));
      this.#shown.delete(hostId);
    }
    const heard: MeshObservation[] = [];
    for (const host of managed) {
      const observation = this.#takeHost(host, names.get(host.id) ?? host.id, hosts.find(host.id), nowMs);
      if (observation) heard.push(observation);
    }
    if (heard.length === 0) return;
    const { delta, refused } = this.#builder.observeAll(
      heard.map((observation) => ({ observation })),
      nowMs,
    );
    this.#refused = refused;
    this.#take(delta);
  }

  /** What of it is new and counts. */
  #takeHost(host: ManagedHost, name: string, said: HostMesh | null, nowMs: number): MeshObservation | null {
    const shown = this.#shown.get(host.id);
    const groups = JSON.stringify(host.record.groups);
    if (shown?.groups !== groups) {
      const { groups: list } = host.record;
      this.#take(this.#builder.hostKnown({ name, hostId: host.id, groups: [...list] }, nowMs));
    }
    const observation = said?.observation ?? null;
    const isFollowed = said?.isFollowed ?? false;
    if (!isFollowed && shown?.isFollowed) this.#take(this.#builder.hostGone(name, nowMs));
    this.#shown.set(host.id, { name, groups, observation, isFollowed });
    const isNew = observation !== shown?.observation || !shown?.isFollowed;
    if (observation === null || !isFollowed || !isNew) return null;
    // A host speaks for itself, by the name that tells it apart here.
    observation.host = name;
    return observation;
  }

  #take(delta: MeshDelta): void {
    if (!isEmptyDelta(delta)) for (const listener of this.#listeners) listener(delta);
  }
}

/** By id of the host. Of two machines that call themselves alike the later one is told apart by its id. */
export function uniqueNames(hosts: readonly ManagedHost[]): ReadonlyMap<string, string> {
  const taken = new Set<string>();
  const names = new Map<string, string>();
  for (const host of hosts) {
    // What is shown before a first contact may be an address or a path.
    const own = hostNameOf(host).replaceAll(/[\s|/]/g, "-");
    const name = taken.has(own) ? `${own}@${host.id}` : own;
    taken.add(name);
    names.set(host.id, name);
  }
  return names;
}
