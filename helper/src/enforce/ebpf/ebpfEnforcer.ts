/**
 * Enforcement by cgroup_skb programs. How a packet is decided: docs/datapath.md.
 *
 * The object holds the pinned tree's descriptors; the tree itself outlives it. One process at a time may hold one
 * bpffs directory: the agent's lock sees to that.
 */
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { HostProgram, ProgramPacket } from "@wardline/domain/policy";
import { bootTimeNs, monotonicTimeNs } from "../../linux/bootClock.ts";
import { libbpfProblem, mapInfo, unmount, updateElement } from "../../linux/bpf/libbpf.ts";
import { ensureBpffsDirectory } from "../../linux/bpffs.ts";
import type {
  ActivateOptions,
  DatapathState,
  DecisionCounter,
  Emergency,
  Enforcer,
  EventLosses,
  FlowEvent,
  FlowProgress,
  OverlayInterface,
  PreparedProgram,
  SlotCounters,
} from "../enforcer.ts";
import { type EbpfEnforcerConfig, interfaceSettings, limitsOf, treeSettings } from "./config.ts";
import { Control, initialControl } from "./control.ts";
import { readLosses, readSlotCounters } from "./counters.ts";
import { detachEdge } from "./edge/attachments.ts";
import { Edge } from "./edge/edge.ts";
import { EventDrain } from "./events.ts";
import { asFailure } from "./failure.ts";
import { readFlowProgress } from "./flowProgress.ts";
import { takeFormerFlows } from "./formerFlows.ts";
import { ImagePacker } from "./image.ts";
import { prepareSlot } from "./prepareSlot.ts";
import { askKernel, type KernelAnswer } from "./selfTest.ts";
import { SlotImages } from "./slotImages.ts";
import { SlotReaders } from "./slotReaders.ts";
import { Slots } from "./slots.ts";
import { FlowSweeper, sweepFlows } from "./sweep.ts";
import { provisionSlot, waitForReaders } from "./tables.ts";
import {
  allTrees,
  closeTree,
  isAttached,
  openOrCreateTree,
  otherTrees,
  type PinnedTree,
  removeAllTrees,
  removeTree,
} from "./tree.ts";
import { Upkeep } from "./upkeep.ts";
import { WorkloadFollower } from "./workloads.ts";

interface Held {
  readonly tree: PinnedTree;
  readonly control: Control;
  readonly drain: EventDrain;
  readonly sweeper: FlowSweeper;
  readonly slots: Slots;
  readonly upkeep: Upkeep;
  readonly edge: Edge;
  readonly readers: SlotReaders;
}

export function createEbpfEnforcer(config: EbpfEnforcerConfig): EbpfEnforcer {
  return new EbpfEnforcer(config);
}

export class EbpfEnforcer implements Enforcer {
  readonly name = "ebpf";
  readonly #config: EbpfEnforcerConfig;
  readonly #bootNs: () => bigint;
  #preparing: Promise<unknown> = Promise.resolve();
  readonly #packer = new ImagePacker();
  readonly #images = new SlotImages();
  readonly #workloads: WorkloadFollower;
  readonly #counterEnds = new Set<(last: SlotCounters) => void>();
  #quietCounters: { readonly slot: 0 | 1; readonly last: SlotCounters | null } | null = null;
  /** The newest program that this process knows to have been in force: the self-test asks about what differs from it. */
  #lastActivated: HostProgram | null = null;
  #open: Held | null = null;
  #mountedOn: string | null = null;

  constructor(config: EbpfEnforcerConfig) {
    this.#config = config;
    this.#bootNs = config.bootNs ?? bootTimeNs;
    this.#workloads = new WorkloadFollower(config.cgroupRoot);
  }

  get limits(): readonly string[] {
    return limitsOf(this.#config);
  }

  get origin(): PinnedTree["origin"] | null {
    return this.#open?.tree.origin ?? null;
  }

  async open(): Promise<DatapathState> {
    if (this.#open !== null) return this.state();
    const problem = libbpfProblem();
    if (problem !== null) throw new Failure({ code: ErrorCode.KERNEL_REFUSED, message: `${problem}.` });
    return asFailure("load its programs", () => {
      this.#mountedOn = ensureBpffsDirectory(this.#config.bpffsDir) ?? this.#mountedOn;
      const tree = openOrCreateTree(treeSettings(this.#config), (object) => {
        updateElement(object.mapFd("wl_control"), Buffer.alloc(4), initialControl());
        takeFormerFlows(this.#config.bpffsDir, object.mapFd("wl_flows"));
      });
      this.#open = this.#hold(tree);
      return this.state();
    });
  }

  #hold(tree: PinnedTree): Held {
    const control = new Control(tree);
    const readers = new SlotReaders(
      () => waitForReaders(tree, slots.inactive),
      () => {
        this.#readQuietCounters();
        provisionSlot(tree, slots.inactive);
      },
    );
    const slots = new Slots(control, {
      bootNs: this.#bootNs,
      onLeft: () => {
        this.#quietCounters = null;
        readers.left();
      },
      onVacate: (slot) => this.#endCounters(slot),
    });
    const generationOf = (epoch: number): number => slots.generationOf(epoch);
    const drain = new EventDrain(tree, generationOf);
    const sweeper = new FlowSweeper(
      () => sweepFlows(tree.maps.wl_flows, this.#clocks(), generationOf),
      (ends) => drain.publish(ends),
    );
    const edge = new Edge(tree, interfaceSettings(this.#config));
    const { bpffsDir, vouching } = this.#config;
    const onWorkloads = (slot: 0 | 1): void => slots.renewEpoch(slot);
    const upkeep = new Upkeep({ tree, control, workloads: this.#workloads, bpffsDir, vouching, onWorkloads });
    return { tree, control, drain, sweeper, slots, upkeep, edge, readers };
  }

  #held(): Held {
    if (this.#open === null) throw new Error("the enforcer is not open");
    return this.#open;
  }

  state(): DatapathState {
    const { tree, slots } = this.#held();
    return slots.state(isAttached(tree));
  }

  /** Others get their turn in between; a second call waits for the first. */
  prepare(program: HostProgram, generation: number): Promise<PreparedProgram> {
    const prepared = this.#preparing.then(() => {
      const held = this.#held();
      const parts = { ...held, packer: this.#packer, images: this.#images, workloads: this.#workloads };
      const isOpen = (): boolean => this.#open === held;
      return prepareSlot({ ...parts, before: this.#lastActivated, isOpen }, program, generation);
    });
    this.#preparing = prepared.catch(() => undefined);
    return prepared;
  }

  activate(prepared: PreparedProgram, options: ActivateOptions): number {
    const { slots } = this.#held();
    const start = performance.now();
    slots.flip(prepared, options);
    this.#lastActivated = prepared.program;
    const elapsedUs = (performance.now() - start) * 1000;
    for (const path of otherTrees(treeSettings(this.#config))) {
      this.#detachEdge(path);
      removeTree(path);
    }
    return elapsedUs;
  }

  confirm(): void {
    this.#held().slots.confirm();
  }

  revert(): DatapathState {
    this.#held().slots.revert();
    return this.state();
  }

  setEmergency(emergency: Emergency): void {
    this.#held().slots.setEmergency(emergency);
  }

  setOverlay(overlay: OverlayInterface | null): void {
    this.#held().control.writeOverlayInterface(overlay?.index ?? 0);
  }

  heldOverlay(): Partial<OverlayInterface> | null {
    return this.#held().control.overlay();
  }

  readCounters(): readonly DecisionCounter[] {
    const { tree, control, slots } = this.#held();
    const slot = slots.deciding;
    const { decisionCount } = control.readSlot(slot);
    return readSlotCounters(tree.maps.wl_counters, slot, decisionCount, control.stamp(slot));
  }

  slotCounters(): readonly SlotCounters[] {
    const slots = [0, 1] as const;
    return slots.flatMap((slot) => this.#countersOf(slot) ?? []);
  }

  onCountersEnd(listener: (last: SlotCounters) => void): () => void {
    this.#counterEnds.add(listener);
    return () => void this.#counterEnds.delete(listener);
  }

  /** `null` when the slot never decided anything since it was filled. */
  #countersOf(slot: 0 | 1): SlotCounters | null {
    const { tree, control } = this.#held();
    const { epoch, generation, digest, decisionCount } = control.readSlot(slot);
    if (epoch === 0) return null;
    const fd = tree.maps.wl_counters;
    const counters = readSlotCounters(fd, slot, decisionCount, control.stamp(slot));
    return { storage: `map ${mapInfo(fd).id}`, generation, programDigest: digest, counters };
  }

  /** Counters of a slot that was left stand still: reading them ahead keeps it off the path of an apply. */
  #readQuietCounters(): void {
    const slot = this.#held().slots.inactive;
    if (this.#counterEnds.size > 0) this.#quietCounters = { slot, last: this.#countersOf(slot) };
  }

  #endCounters(slot: 0 | 1): void {
    const quiet = this.#quietCounters?.slot === slot ? this.#quietCounters : { last: null };
    this.#quietCounters = null;
    const last = this.#counterEnds.size > 0 ? (quiet.last ?? this.#countersOf(slot)) : null;
    if (last !== null) for (const listener of this.#counterEnds) listener(last);
  }

  onEvents(listener: (events: readonly FlowEvent[]) => void): () => void {
    return this.#held().drain.listen(listener);
  }

  losses(): EventLosses {
    return readLosses(this.#held().tree.maps.wl_losses);
  }

  flowProgress(seenSinceBootNs: bigint): AsyncIterable<readonly FlowProgress[]> {
    const held = this.#held();
    const generationOf = (epoch: number): number => held.slots.generationOf(epoch);
    const isOpen = (): boolean => this.#open === held;
    const reading = { flowsFd: held.tree.maps.wl_flows, clocks: this.#clocks(), generationOf, isOpen };
    return readFlowProgress(reading, seenSinceBootNs);
  }

  /** What the tables that `prepare` loaded last say about a packet. For tests of the compiler and the kernel. */
  ask(packet: ProgramPacket): KernelAnswer {
    const { tree, slots } = this.#held();
    return askKernel(tree.programs.selftest, slots.inactive, packet);
  }

  /**
   * Names the program of a slot that was adopted from an earlier process, so that its workloads are followed again.
   * Ignored when no slot holds that generation and digest.
   */
  recall(program: HostProgram, generation: number): void {
    const { control, edge } = this.#held();
    for (const slot of [0, 1] as const) {
      const label = control.readSlot(slot);
      const same = label.generation === generation && label.digest === program.digest;
      if (same && control.read().slot === slot) this.#lastActivated ??= program;
      if (same && !this.#workloads.follows(slot)) this.#workloads.follow(slot, program.sets, new Map());
      if (same) edge.recall(slot, program);
    }
  }

  /** Looks for cgroups that appeared or went, and makes their flows ask again. Runs every second by itself. */
  refreshWorkloads(): void {
    this.#open?.upkeep.refreshWorkloads();
  }

  /** Finds out now whether connections are translated. Runs every half minute by itself. */
  async checkTranslation(): Promise<void> {
    await this.#open?.upkeep.checkTranslation();
  }

  #clocks(): { monotonicNs: bigint; bootNs: bigint } {
    return { monotonicNs: (this.#config.monotonicNs ?? monotonicTimeNs)(), bootNs: this.#bootNs() };
  }

  /** Puts back pins that somebody took away. Runs every second by itself. */
  keepPins(): void {
    this.#open?.upkeep.keepPins();
  }

  /** Reports and removes silent flows. Runs every five seconds by itself. */
  sweep(): void {
    this.#open?.sweeper.run();
  }

  edgeInterfaces(): readonly string[] {
    return this.#open?.edge.describe() ?? [];
  }

  problems(): readonly string[] {
    return this.#open === null ? [] : [...this.#open.edge.problems(), ...this.#open.upkeep.problems];
  }

  /** Packets of denied sources that XDP dropped since the tree was made: in no other counter. */
  earlyDrops(): bigint {
    return this.#open?.edge.earlyDrops() ?? 0n;
  }

  /** Looks for interfaces that came or went. Runs every 100 ms by itself. */
  pollInterfaces(): void {
    this.#open?.edge.poll();
  }

  #detachEdge(treePath: string): void {
    detachEdge(treePath, interfaceSettings(this.#config).networkNamespace);
  }

  /** Runs every 80 ms by itself. */
  drainEvents(): void {
    this.#open?.drain.drain();
  }

  async release(): Promise<void> {
    if (this.#open !== null) for (const slot of [0, 1] as const) this.#endCounters(slot);
    await this.close();
    const settings = treeSettings(this.#config);
    for (const path of allTrees(settings)) this.#detachEdge(path);
    removeAllTrees(settings);
    if (this.#mountedOn !== null) unmount(this.#mountedOn);
    this.#mountedOn = null;
  }

  async close(): Promise<void> {
    if (this.#open === null) return;
    const { tree, control, drain, sweeper, upkeep, edge, readers } = this.#open;
    this.#open = null;
    this.#images.forget();
    readers.close();
    upkeep.close();
    this.#mountedOn = upkeep.mountedOn ?? this.#mountedOn;
    edge.close();
    sweeper.close();
    drain.drain();
    drain.close();
    control.close();
    closeTree(tree);
  }
}
