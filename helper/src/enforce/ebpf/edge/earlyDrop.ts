/**
 * The XDP program that drops denied sources early, on interfaces that the administrator named. It only takes work from
 * the other hooks: without it every packet gets the same verdict, later.
 */
import { closeSync, readdirSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import type { HostProgram } from "@wardline/domain/policy";
import { attachXdp, interfaceLinkInfo, isGone } from "../../../linux/bpf/interfaceHooks.ts";
import {
  BpfError,
  deleteElement,
  lookupElement,
  openPin,
  pin,
  possibleCpuCount,
  programInfo,
  readBatches,
  updateBatch,
  updateLink,
} from "../../../linux/bpf/libbpf.ts";
import { InterfaceList, type NetworkInterface } from "../../../linux/network/interfaces.ts";
import { inNetworkNamespace } from "../../../linux/network/namespace.ts";
import { EARLY_KEY } from "../layout.ts";
import { type EarlySource, earlySources } from "./earlySources.ts";
import { isPort, packetStart } from "./interfaceRules.ts";

const POLL_INTERVAL_MS = 1000;
/** How often everything is looked at again whatever the kernel said: somebody may have removed a pin, and the link with it. */
const POLLS_PER_REPAIR = 5;
const SLOT_BITS = 8;
/** Half of WARDLINE_MAX_EARLY_PREFIXES: one slot must not take the other's room. */
const MAX_PREFIXES = 65_536;
const EBUSY = 16;

export interface EarlyDropSettings {
  /** Names of interfaces. */
  readonly interfaces: readonly string[];
}

export interface EarlyDropTree {
  readonly path: string;
  /** Descriptors of the program and of `wl_early_sources` and `wl_early_drops`. */
  readonly program: number;
  readonly sources: number;
  readonly drops: number;
}

export interface EarlyDropInterface {
  readonly name: string;
  /** `generic` = the driver cannot run XDP, so packets are dropped a step later; `none` = see `problem`. */
  readonly how: "native" | "generic" | "none";
  readonly problem: string | null;
}

function linkPins(treePath: string): ReadonlyMap<number, string> {
  return new Map(
    readdirSync(treePath).flatMap((name) => {
      const match = /^early_(\d+)$/.exec(name);
      return match === null ? [] : [[Number(match[1]), join(treePath, name)] as const];
    }),
  );
}

function packSources(slot: 0 | 1, sources: readonly EarlySource[]): { keys: Buffer; values: Buffer } {
  const keys = Buffer.alloc(sources.length * EARLY_KEY.size);
  const values = Buffer.alloc(sources.length * 4);
  for (const [position, { address, bits, drop }] of sources.entries()) {
    const start = position * EARLY_KEY.size;
    keys.writeUInt32LE(SLOT_BITS + bits, start + EARLY_KEY.prefixBits);
    keys.writeUInt8(slot, start + EARLY_KEY.slot);
    keys.set(address, start + EARLY_KEY.address);
    values.writeUInt32LE(Number(drop), position * 4);
  }
  return { keys, values };
}

function clearSlots(mapFd: number, slots: readonly number[]): void {
  const sizes = { keySize: EARLY_KEY.size, valueSize: 4, cursorSize: EARLY_KEY.size };
  const stale: Buffer[] = [];
  for (const { keys, count } of readBatches(mapFd, sizes))
    for (let start = 0; start < count * EARLY_KEY.size; start += EARLY_KEY.size)
      if (slots.includes(keys.readUInt8(start + EARLY_KEY.slot)))
        stale.push(Buffer.from(keys.subarray(start, start + EARLY_KEY.size)));
  for (const key of stale) deleteElement(mapFd, key);
}

/** Takes the program off every interface and forgets the sources: they would be old when it is wanted again. */
export function removeEarlyDrop(tree: EarlyDropTree): void {
  for (const path of linkPins(tree.path).values()) unlinkSync(path);
  clearSlots(tree.sources, [0, 1]);
}

export class EarlyDrop {
  readonly #tree: EarlyDropTree;
  readonly #settings: EarlyDropSettings;
  readonly #networkNamespace: string | null;
  readonly #list: InterfaceList;
  readonly #timer: NodeJS.Timeout;
  /** Slots whose sources are those of the program in them. */
  readonly #filled = new Set<0 | 1>();
  #leftOut = 0;
  #polls = 0;
  #status: readonly EarlyDropInterface[] = [];
  /** By name of the interface. */
  readonly #problems = new Map<string, string>();

  /** In the network namespace at a path; `null` = this process' own. */
  constructor(tree: EarlyDropTree, settings: EarlyDropSettings, networkNamespace: string | null) {
    this.#tree = tree;
    this.#settings = settings;
    this.#networkNamespace = networkNamespace;
    // While it runs every apply fills its slot; what is there from before the last break says nothing.
    if (linkPins(tree.path).size > 0) this.#filled.add(0).add(1);
    else clearSlots(tree.sources, [0, 1]);
    this.#list = new InterfaceList(networkNamespace);
    try {
      this.#cover();
    } catch (error) {
      this.#list.close();
      throw error;
    }
    this.#timer = setInterval(() => this.poll(), POLL_INTERVAL_MS);
    this.#timer.unref();
  }

  /** Writes the sources of a slot that decides nothing yet, or whose sources are missing. */
  fill(slot: 0 | 1, program: HostProgram): void {
    const sources = earlySources(program);
    // A prefix must come with its exceptions. All or nothing keeps that simple, and nothing is always right.
    this.#leftOut = sources.length > MAX_PREFIXES ? sources.length : 0;
    const { true: dropped = [], false: spared = [] } = Object.groupBy(sources, ({ drop }) => `${drop}`);
    this.#filled.delete(slot);
    clearSlots(this.#tree.sources, [slot]);
    // The exceptions first: the slot may be the one that decides.
    for (const part of this.#leftOut > 0 ? [] : [spared, dropped]) {
      const { keys, values } = packSources(slot, part);
      updateBatch(this.#tree.sources, keys, values, part.length);
    }
    this.#filled.add(slot);
  }

  isFilled(slot: 0 | 1): boolean {
    return this.#filled.has(slot);
  }

  /** Packets dropped since the tree was made. */
  drops(): bigint {
    const values = Buffer.alloc(8 * possibleCpuCount());
    lookupElement(this.#tree.drops, Buffer.alloc(4), values);
    return Array.from({ length: values.length / 8 }, (_, cpu) => values.readBigUInt64LE(cpu * 8)).reduce(
      (sum, count) => sum + count,
      0n,
    );
  }

  status(): readonly EarlyDropInterface[] {
    return this.#status;
  }

  /** Prefixes that found no room, so that nothing is dropped early; 0 = none. */
  leftOut(): number {
    return this.#leftOut;
  }

  /** Looks for interfaces that came or went. Runs every second by itself. */
  poll(): void {
    try {
      this.#polls += 1;
      const changed = this.#list.hasChanged();
      if (changed || this.#polls % POLLS_PER_REPAIR === 0) this.#cover();
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      this.#status = this.#settings.interfaces.map((name) => ({ name, how: "none", problem }));
    }
  }

  #cover(): void {
    inNetworkNamespace(this.#networkNamespace, () => {
      const entries = this.#list.read();
      const wanted = new Map(entries.map((entry) => [entry.name, entry]));
      const indexes = new Set(this.#settings.interfaces.map((name) => wanted.get(name)?.index));
      for (const [index, path] of linkPins(this.#tree.path)) if (!indexes.has(index)) unlinkSync(path);
      for (const name of this.#settings.interfaces) this.#attach(wanted.get(name));
      const after = new Map(this.#list.read().map((entry) => [entry.name, entry]));
      this.#status = this.#settings.interfaces.map((name) => this.#describe(name, after.get(name)));
      // Our own attaching is no news.
      this.#list.hasChanged();
    });
  }

  #attach(entry: NetworkInterface | undefined): void {
    if (entry === undefined) return;
    this.#problems.delete(entry.name);
    const refusal = refusalOf(entry);
    try {
      if (refusal === null) this.#ensureLink(entry.index);
      else this.#problems.set(entry.name, refusal);
    } catch (error) {
      if (isGone(error)) return;
      const isBusy = error instanceof BpfError && error.errno === EBUSY;
      const reason = error instanceof Error ? error.message : String(error);
      this.#problems.set(entry.name, isBusy ? "another XDP program runs there" : reason);
    }
  }

  #describe(name: string, entry: NetworkInterface | undefined): EarlyDropInterface {
    if (entry === undefined) return { name, how: "none", problem: "there is no such interface" };
    const problem = this.#problems.get(name) ?? null;
    if (problem !== null) return { name, how: "none", problem };
    return { name, how: entry.xdp === "generic" ? "generic" : "native", problem: null };
  }

  #ensureLink(index: number): void {
    const path = join(this.#tree.path, `early_${index}`);
    const existing = openPin(path);
    if (existing !== null) {
      try {
        const link = interfaceLinkInfo(existing);
        if (link.interfaceIndex === index) {
          if (link.programId !== programInfo(this.#tree.program).id) updateLink(existing, this.#tree.program);
          return;
        }
      } finally {
        closeSync(existing);
      }
      unlinkSync(path);
    }
    const link = this.#link(index);
    try {
      pin(link, path);
    } finally {
      closeSync(link);
    }
  }

  /** Drivers without XDP, and those that cannot run it as they are set up now, get the generic one. */
  #link(index: number): number {
    try {
      return attachXdp(this.#tree.program, index, "native");
    } catch (error) {
      if (isGone(error) || (error instanceof BpfError && error.errno === EBUSY)) throw error;
      return attachXdp(this.#tree.program, index, "generic");
    }
  }

  /** Ends this process' part; the program goes on. */
  close(): void {
    clearInterval(this.#timer);
    this.#list.close();
  }
}

/** Where it must not be: the policy of this host does not judge what a bridge only passes on. */
function refusalOf(entry: NetworkInterface): string | null {
  if (entry.isLoopback) return "loopback is never filtered";
  if (packetStart(entry) !== "l2") return "its packets do not start with an Ethernet header";
  if (isPort(entry)) return "it is a port of another interface, which may pass packets on to others";
  return null;
}
