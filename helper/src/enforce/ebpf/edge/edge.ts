/**
 * What the enforcer does at interfaces: the edge programs, and the early drop where it was asked for. Whatever goes wrong
 * here leaves the hooks of sockets as they are, and becomes a sentence in the status.
 */
import type { HostProgram } from "@wardline/domain/policy";
import type { PinnedTree } from "../tree.ts";
import { detachEdge, EdgeAttachments, type EdgeSettings } from "./attachments.ts";
import { EarlyDrop, type EarlyDropSettings, type EarlyDropTree, removeEarlyDrop } from "./earlyDrop.ts";

export interface InterfaceSettings {
  /** Path of the network namespace whose interfaces are meant; `null` = this process' own. */
  readonly networkNamespace: string | null;
  /** `null` = nothing is attached to interfaces. */
  readonly edge: EdgeSettings | null;
  /** `null` = no early drop. */
  readonly earlyDrop: EarlyDropSettings | null;
}

const EARLY_DROP_NAMES = { native: "early drop", generic: "early drop, generic XDP" } as const;
const EDGE_NAMES = { tcx: "tcx", filter: "tc filter" } as const;

function earlyDropTree({ path, programs, maps }: PinnedTree): EarlyDropTree {
  return { path, program: programs.earlyDrop, sources: maps.wl_early_sources, drops: maps.wl_early_drops };
}

export class Edge {
  readonly #edge: EdgeAttachments | null;
  readonly #earlyDrop: EarlyDrop | null;
  readonly #problems: string[] = [];

  /** Attaches what is wanted, adopts what is there, and takes off what is there and no longer wanted. */
  constructor(tree: PinnedTree, { networkNamespace, edge, earlyDrop }: InterfaceSettings) {
    const { path, programs, maps } = tree;
    this.#edge = this.#attempt("Packets without a socket are not judged", () => {
      if (edge !== null) {
        const l2 = { inward: programs.edgeL2, outward: programs.edgeOutL2 };
        const l3 = { inward: programs.edgeL3, outward: programs.edgeOutL3 };
        const edgeTree = { path, programs: { l2, l3 }, innerInterfaces: maps.wl_inner_interfaces };
        return new EdgeAttachments(edgeTree, edge, networkNamespace);
      }
      detachEdge(path, networkNamespace);
      return null;
    });
    this.#earlyDrop = this.#attempt("Nothing is dropped early", () => {
      if (earlyDrop !== null) return new EarlyDrop(earlyDropTree(tree), earlyDrop, networkNamespace);
      removeEarlyDrop(earlyDropTree(tree));
      return null;
    });
  }

  #attempt<T>(consequence: string, run: () => T | null): T | null {
    try {
      return run();
    } catch (error) {
      this.#problems.push(`${consequence}: ${error instanceof Error ? error.message : String(error)}.`);
      return null;
    }
  }

  get isOn(): boolean {
    return this.#edge !== null;
  }

  /** Before the slot may decide. Throws when the kernel does not take the sources. */
  fill(slot: 0 | 1, program: HostProgram): void {
    this.#earlyDrop?.fill(slot, program);
  }

  /** A slot that an earlier process filled. */
  recall(slot: 0 | 1, program: HostProgram): void {
    if (this.#earlyDrop !== null && !this.#earlyDrop.isFilled(slot)) this.#earlyDrop.fill(slot, program);
  }

  /** Looks for interfaces that came or went. */
  poll(): void {
    this.#edge?.poll();
    this.#earlyDrop?.poll();
  }

  /** Name of each interface with a program, and what it is. */
  describe(): readonly string[] {
    const edge = this.#edge?.status() ?? [];
    const early = this.#earlyDrop?.status() ?? [];
    return [
      ...edge.flatMap(({ name, how }) => (how === "none" ? [] : `${name} (${EDGE_NAMES[how]})`)),
      ...early.flatMap(({ name, how }) => (how === "none" ? [] : `${name} (${EARLY_DROP_NAMES[how]})`)),
    ];
  }

  /** Packets that the early drop took. */
  earlyDrops(): bigint {
    return this.#earlyDrop?.drops() ?? 0n;
  }

  /** Sentences about what is not as it was asked for. */
  problems(): readonly string[] {
    const edge = this.#edge?.status() ?? [];
    const early = this.#earlyDrop?.status() ?? [];
    const list = this.#edge?.problem() ?? null;
    const leftOut = this.#earlyDrop?.leftOut() ?? 0;
    return [
      ...this.#problems,
      ...(list === null ? [] : [`New interfaces are not noticed: ${list}.`]),
      ...edge.flatMap(({ name, problem }) =>
        problem === null ? [] : `Packets without a socket are not judged on ${name}: ${problem}.`,
      ),
      ...early.flatMap(({ name, problem }) =>
        problem === null ? [] : `Nothing is dropped early on ${name}: ${problem}.`,
      ),
      ...(leftOut === 0 ? [] : [`Nothing is dropped early: ${leftOut} prefixes are more than fit.`]),
    ];
  }

  close(): void {
    this.#edge?.close();
    this.#earlyDrop?.close();
  }
}
