/**
 * Keeps the edge programs on every interface of one network namespace: those there are and those that come. Attachments
 * outlive the process; the next one finds them by their pins in the tree's directory.
 *
 * An interface that appears is covered when the list is looked at next, at most 100 ms later. In between only what has no
 * socket here passes unjudged: sockets are guarded from their first packet by the cgroup hooks.
 */
import { existsSync } from "node:fs";
import { isGone } from "../../../linux/bpf/interfaceHooks.ts";
import { deleteElement, readBatches, updateElement } from "../../../linux/bpf/libbpf.ts";
import { InterfaceList, type NetworkInterface } from "../../../linux/network/interfaces.ts";
import { inNetworkNamespace } from "../../../linux/network/namespace.ts";
import { EdgeLinks, pinnedLinks, unpinLinks } from "./edgeLinks.ts";
import { innerInterfaces, isPort, packetStart } from "./interfaceRules.ts";
import { type EdgePrograms, ensureFilters, markedInterfaces, removeFilters } from "./trafficControl.ts";

/** How often changes are asked for, and how often everything is looked at again whatever the kernel said. */
const POLL_INTERVAL_MS = 100;
const POLLS_PER_REPAIR = 50;

export interface EdgeSettings {
  /** `filter` = do not try tcx. For tests of what older kernels get. */
  readonly how?: "filter";
  /** What leads into a container; for tests, whose namespaces all look like containers. */
  readonly isInner?: (entry: NetworkInterface) => boolean;
}

export interface EdgeTree {
  readonly path: string;
  readonly programs: Readonly<Record<"l2" | "l3", EdgePrograms>>;
  /** Descriptor of `wl_inner_interfaces`. */
  readonly innerInterfaces: number;
}

export interface EdgeInterface {
  readonly index: number;
  readonly name: string;
  readonly how: "tcx" | "filter" | "none";
  /** Why it is not covered; `null` when it is. */
  readonly problem: string | null;
}

/** Indexes of the interfaces that some pin of the tree stands for. */
function pinnedInterfaces(treePath: string): ReadonlySet<number> {
  return new Set([...pinnedLinks(treePath), ...markedInterfaces(treePath)]);
}

function word(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

/** What an earlier process wrote: kept until it is known better. */
function readInner(mapFd: number): ReadonlySet<number> {
  const inner = new Set<number>();
  for (const { keys, count } of readBatches(mapFd, { keySize: 4, valueSize: 4, cursorSize: 4 }))
    for (let at = 0; at < count; at++) inner.add(keys.readUInt32LE(at * 4));
  return inner;
}

/** Takes everything of a tree off the interfaces. Filters and programs of others stay. */
export function detachEdge(treePath: string, networkNamespace: string | null): void {
  if (!existsSync(treePath)) return;
  const indexes = pinnedInterfaces(treePath);
  if (indexes.size === 0) return;
  inNetworkNamespace(networkNamespace, () => {
    for (const index of indexes) {
      unpinLinks(treePath, index);
      removeFilters(treePath, index);
    }
  });
}

export class EdgeAttachments {
  readonly #tree: EdgeTree;
  readonly #settings: EdgeSettings;
  readonly #networkNamespace: string | null;
  readonly #list: InterfaceList;
  readonly #links: EdgeLinks;
  readonly #timer: NodeJS.Timeout;
  readonly #ownQdiscs = new Set<number>();
  #polls = 0;
  #inner: ReadonlySet<number> = new Set();
  #status: readonly EdgeInterface[] = [];
  #problem: string | null = null;

  /**
   * Attaches before it returns, in the network namespace at a path (`null` = this process' own). Throws when the kernel does
   * not list its interfaces.
   */
  constructor(tree: EdgeTree, settings: EdgeSettings, networkNamespace: string | null) {
    this.#tree = tree;
    this.#settings = settings;
    this.#networkNamespace = networkNamespace;
    this.#links = new EdgeLinks(tree.path);
    this.#list = new InterfaceList(networkNamespace);
    try {
      this.#inner = readInner(tree.innerInterfaces);
      this.#cover();
    } catch (error) {
      this.#list.close();
      this.#links.close();
      throw error;
    }
    this.#timer = setInterval(() => this.poll(), POLL_INTERVAL_MS);
    this.#timer.unref();
  }

  /** Looks for changes now. Runs every 100 ms by itself. */
  poll(): void {
    this.#polls += 1;
    try {
      const changed = this.#list.hasChanged();
      if (changed || this.#polls % POLLS_PER_REPAIR === 0) this.#cover();
      this.#problem = null;
    } catch (error) {
      this.#problem = error instanceof Error ? error.message : String(error);
    }
  }

  /** Every interface but loopback and ports of bridges and bonds, which are seen at the bridge or bond. */
  status(): readonly EdgeInterface[] {
    return this.#status;
  }

  /** Why the list of interfaces cannot be followed; `null` when it is. */
  problem(): string | null {
    return this.#problem;
  }

  #cover(): void {
    inNetworkNamespace(this.#networkNamespace, () => {
      const entries = this.#list.read();
      // First, so that no packet of a container meets the edge as a stranger's.
      this.#writeInner(innerInterfaces(entries, this.#settings.isInner));
      const judged = entries.filter((entry) => !entry.isLoopback && !isPort(entry));
      const indexes = new Set(judged.map(({ index }) => index));
      const covered = new Set([...this.#links.indexes(), ...markedInterfaces(this.#tree.path)]);
      for (const index of covered) if (!indexes.has(index)) this.#uncover(index);
      this.#status = judged.flatMap((entry) => this.#coverOne(entry) ?? []);
    });
  }

  /** `null` = the interface went away meanwhile. */
  #coverOne(entry: NetworkInterface): EdgeInterface | null {
    const { index, name } = entry;
    const start = packetStart(entry);
    if (start === null)
      return { index, name, how: "none", problem: `its packets cannot be read (hardware type ${entry.hardwareType})` };
    try {
      return { index, name, how: this.#attach(index, this.#tree.programs[start]), problem: null };
    } catch (error) {
      if (isGone(error)) return null;
      return { index, name, how: "none", problem: error instanceof Error ? error.message : String(error) };
    }
  }

  #attach(index: number, programs: EdgePrograms): "tcx" | "filter" {
    const { path } = this.#tree;
    if (this.#settings.how !== "filter") {
      const inward = this.#links.ensure(index, "ingress", programs.inward);
      if (inward && this.#links.ensure(index, "egress", programs.outward)) {
        // A kernel that was updated under a kept tree: the filters are no longer needed.
        removeFilters(path, index);
        return "tcx";
      }
    }
    ensureFilters(path, index, programs, this.#ownQdiscs);
    this.#links.remove(index);
    return "filter";
  }

  #uncover(index: number): void {
    this.#links.remove(index);
    this.#ownQdiscs.delete(index);
    removeFilters(this.#tree.path, index);
  }

  #writeInner(inner: ReadonlySet<number>): void {
    for (const index of inner)
      if (!this.#inner.has(index)) updateElement(this.#tree.innerInterfaces, word(index), word(1));
    for (const index of this.#inner) if (!inner.has(index)) deleteElement(this.#tree.innerInterfaces, word(index));
    this.#inner = inner;
  }

  /** Ends this process' part; the programs go on. */
  close(): void {
    clearInterval(this.#timer);
    this.#list.close();
    this.#links.close();
  }
}
