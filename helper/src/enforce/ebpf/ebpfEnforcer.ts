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
  PreparedProgram,
  SlotCounters,
} from "../enforcer.ts";
import { Vouching, type VouchingPorts } from "./connect/vouching.ts";
import { Control, EMPTY_SLOT, initialControl, type SlotLabel, UNUSABLE_GENERATION } from "./control.ts";
import { counterEntries, readLosses, readSlotCounters } from "./counters.ts";
import { detachEdge, type EdgeSettings } from "./edge/attachments.ts";
import type { EarlyDropSettings } from "./edge/earlyDrop.ts";
import { Edge, type InterfaceSettings } from "./edge/edge.ts";
import { EventDrain } from "./events.ts";
import { asFailure } from "./failure.ts";
import { ImagePacker } from "./image.ts";
import { type ControlWord, type MapName, swapped } from "./layout.ts";
import { keepPins } from "./pinKeeper.ts";
import { askKernel, type KernelAnswer, runSelfTest } from "./selfTest.ts";
import { SlotReaders } from "./slotReaders.ts";
import { FlowSweeper, sweepFlows } from "./sweep.ts";
import { fillSlot, verifySlot, waitForReaders } from "./tables.ts";
import {
  allTrees,
  closeTree,
  isAttached,
  openOrCreateTree,
  otherTrees,
  type PinnedTree,
  removeAllTrees,
  removeTree,
  type TreeSettings,
} from "./tree.ts";
import { packWorkloads, WorkloadFollower } from "./workloads.ts";

const REFRESH_INTERVAL_MS = 1000;
/** Epochs whose events may still be under way. */
const REMEMBERED_EPOCHS = 256;

export interface EbpfEnforcerConfig {
  /** cgroup2 directory to attach to: the hierarchy's root in production. */
  readonly cgroupRoot: string;
  /** Private directory for pins; a BPF file system is mounted there when there is none. */
  readonly bpffsDir: string;
  /** The compiled object, `bpf/build/wardline.bpf.o`. */
  readonly objectBytes: Uint8Array;
  /** Boot clock; injected by tests of the deadline. */
  readonly bootNs?: () => bigint;
  /** Clock of idle limits; injected by tests of them. */
  readonly monotonicNs?: () => bigint;
  /** Entries of the flow table; 65,536 unless given. Takes effect when the tree is made. */
  readonly flowTableEntries?: number;
  /** Powers of two, at least one page. Take effect when the tree is made. */
  readonly flowRingBytes?: number;
  readonly denyRingBytes?: number;
  /** What is known of this process' network namespace; injected by tests, which guard another one. */
  readonly vouching?: VouchingPorts;
  /** Path of the network namespace whose interfaces are meant below; this process' own unless given. For tests. */
  readonly networkNamespace?: string | null;
  /** How packets without a socket are judged at the interfaces; not at all unless given. */
  readonly edge?: EdgeSettings | null;
  /** Where denied sources are dropped by XDP; nowhere unless given. */
  readonly earlyDrop?: EarlyDropSettings | null;
}

interface Held {
  readonly tree: PinnedTree;
  readonly control: Control;
  readonly drain: EventDrain;
  readonly sweeper: FlowSweeper;
  readonly vouching: Vouching;
  readonly edge: Edge;
  readonly readers: SlotReaders;
  readonly timers: readonly NodeJS.Timeout[];
}

const LIMIT_WITHOUT_EDGE =
  "Packets without a socket on this host are not seen: closed ports answer with a reset, and forwarded traffic of containers and virtual machines passes.";
const LIMITS: readonly string[] = ["Processes with CAP_NET_RAW can send through packet sockets without being seen."];

export function createEbpfEnforcer(config: EbpfEnforcerConfig): EbpfEnforcer {
  return new EbpfEnforcer(config);
}

export class EbpfEnforcer implements Enforcer {
  readonly name = "ebpf";
  readonly #config: EbpfEnforcerConfig;
  readonly #bootNs: () => bigint;
  readonly #generations = new Map<number, number>();
  readonly #packer = new ImagePacker();
  readonly #workloads: WorkloadFollower;
  readonly #counterEnds = new Set<(last: SlotCounters) => void>();
  /** The newest program that this process knows to have been in force: the self-test asks about what differs from it. */
  #lastActivated: HostProgram | null = null;
  #open: Held | null = null;
  #workloadProblem: string | null = null;
  #pinProblem: string | null = null;
  #mountedOn: string | null = null;

  constructor(config: EbpfEnforcerConfig) {
    this.#config = config;
    this.#bootNs = config.bootNs ?? bootTimeNs;
    this.#workloads = new WorkloadFollower(config.cgroupRoot);
  }

  get limits(): readonly string[] {
    return (this.#config.edge ?? null) === null ? [LIMIT_WITHOUT_EDGE, ...LIMITS] : LIMITS;
  }

  /** How the tree came to be; `null` while closed. */
  get origin(): PinnedTree["origin"] | null {
    return this.#open?.tree.origin ?? null;
  }

  async open(): Promise<DatapathState> {
    if (this.#open !== null) return this.state();
    const problem = libbpfProblem();
    if (problem !== null) throw new Failure({ code: ErrorCode.KERNEL_REFUSED, message: `${problem}.` });
    return asFailure("load its programs", () => {
      this.#mountedOn = ensureBpffsDirectory(this.#config.bpffsDir) ?? this.#mountedOn;
      const tree = openOrCreateTree(this.#treeSettings(), (object) => {
        updateElement(object.mapFd("wl_control"), Buffer.alloc(4), initialControl());
      });
      const control = new Control(tree);
      const drain = new EventDrain(tree, (epoch) => this.#generations.get(epoch) ?? 0);
      const vouching = new Vouching(tree.maps.wl_local_addresses, this.#config.vouching);
      vouching.refresh();
      const edge = new Edge(tree, this.#interfaceSettings());
      const sweeper = new FlowSweeper(
        () => sweepFlows(tree.maps.wl_flows, this.#clocks(), (epoch) => this.#generations.get(epoch) ?? 0),
        (ends) => drain.publish(ends),
      );
      this.#workloads.open(tree, () => this.refreshWorkloads());
      const timers = [
        setInterval(() => this.refreshWorkloads(), REFRESH_INTERVAL_MS),
        setInterval(() => vouching.refresh(), REFRESH_INTERVAL_MS),
        setInterval(() => this.keepPins(), REFRESH_INTERVAL_MS),
      ];
      for (const timer of timers) timer.unref();
      const readers = new SlotReaders(() => waitForReaders(tree, control.read().slot === 0 ? 1 : 0));
      this.#open = { tree, control, drain, sweeper, vouching, edge, readers, timers };
      for (const slot of [0, 1] as const) this.#rememberEpoch(control.readSlot(slot));
      return this.state();
    });
  }

  #treeSettings(): TreeSettings {
    const { bpffsDir, cgroupRoot, objectBytes, flowTableEntries, flowRingBytes, denyRingBytes } = this.#config;
    const sizes: [MapName, number | undefined][] = [
      ["wl_counters", counterEntries()],
      ["wl_flows", flowTableEntries],
      ["wl_flow_ring", flowRingBytes],
      ["wl_deny_ring", denyRingBytes],
    ];
    const mapSizes = new Map(sizes.filter((entry): entry is [MapName, number] => entry[1] !== undefined));
    return { directory: bpffsDir, cgroupRoot, objectBytes, mapSizes };
  }

  #held(): Held {
    if (this.#open === null) throw new Error("the enforcer is not open");
    return this.#open;
  }

  #rememberEpoch({ epoch, generation }: SlotLabel): void {
    if (epoch === 0) return;
    this.#generations.set(epoch, generation);
    const oldest = this.#generations.keys().next().value;
    if (this.#generations.size > REMEMBERED_EPOCHS && oldest !== undefined) this.#generations.delete(oldest);
  }

  #expired(word: ControlWord): boolean {
    return word.deadlineArmed && this.#bootNs() > this.#held().control.deadlineNs();
  }

  state(): DatapathState {
    const { tree, control } = this.#held();
    const word = control.read();
    const active = control.readSlot(word.slot);
    const other = control.readSlot(word.slot === 0 ? 1 : 0);
    const previous = other.epoch === 0 ? EMPTY_SLOT : other;
    return {
      attached: isAttached(tree),
      generation: active.generation,
      mode: word.enforce ? "enforce" : "observe",
      programDigest: active.digest,
      previousGeneration: previous.generation,
      previousProgramDigest: previous.digest,
      previousMode: word.otherEnforce ? "enforce" : "observe",
      deadlineBootMs: word.deadlineArmed ? Number(control.deadlineNs() / 1_000_000n) : null,
      expired: this.#expired(word),
      emergency: word.emergency,
    };
  }

  async prepare(program: HostProgram, generation: number): Promise<PreparedProgram> {
    const { tree, control, edge, readers } = this.#held();
    const start = performance.now();
    const image = this.#packer.pack(program, mapInfo(tree.maps.wl_counters).maxEntries / 2);
    const slot = this.#vacateOtherSlot();
    return asFailure("take the new tables", () => {
      const sets = program.sets;
      const workloads = this.#workloads.find(sets);
      const packedWorkloads = packWorkloads(workloads);
      readers.wait();
      fillSlot(tree, slot, image, packedWorkloads);
      edge.fill(slot, program);
      control.renewStamp(slot);
      verifySlot(tree, slot, image, packedWorkloads);
      const filled = performance.now();
      const { changedIpv4 } = image;
      runSelfTest(tree.programs.selftest, slot, program, { before: this.#lastActivated, changedIpv4 });
      const tested = performance.now();
      this.#workloads.follow(slot, sets, workloads);
      // Before the flip: the datapath lets cgroups wait that nobody has looked at.
      this.refreshWorkloads();
      control.writeSlot(slot, {
        generation,
        digest: program.digest,
        epoch: 0,
        enforce: false,
        decisionCount: image.decisionCount,
        workloadSets: image.workloadSets,
      });
      const timings = { fillUs: Math.round((filled - start) * 1000), selfTestUs: Math.round((tested - filled) * 1000) };
      return { generation, program, timings };
    });
  }

  /** Makes the inactive slot free to be filled. Refuses while it is what an armed deadline would fall back to. */
  #vacateOtherSlot(): 0 | 1 {
    const { control } = this.#held();
    if (this.#expired(control.read())) this.revert();
    const word = control.read();
    if (word.deadlineArmed)
      throw new Failure({
        code: ErrorCode.CONFIRMATION_PENDING,
        message: "The last change waits for its confirmation; the tables before it are needed to return to.",
        hint: "Confirm it or roll it back first.",
        retryable: true,
      });
    const slot = word.slot === 0 ? 1 : 0;
    this.#endCounters(slot);
    control.write({ ...word, otherEpoch: 0, otherEnforce: false, otherWorkloads: false });
    control.writeSlot(slot, { ...EMPTY_SLOT, generation: UNUSABLE_GENERATION });
    this.#workloads.forget(slot);
    return slot;
  }

  activate(prepared: PreparedProgram, options: ActivateOptions): number {
    const { control, readers } = this.#held();
    const start = performance.now();
    const before = control.read();
    const slot = before.slot === 0 ? 1 : 0;
    const label = control.readSlot(slot);
    if (label.epoch !== 0 || label.generation !== prepared.generation || label.digest !== prepared.program.digest)
      throw new Failure({
        code: ErrorCode.GENERATION_CONFLICT,
        message: `Generation ${prepared.generation} is no longer loaded. Nothing was changed.`,
        hint: "Apply again.",
        retryable: true,
      });
    const enforce = options.mode === "enforce";
    const epoch = control.nextEpoch();
    const activated = { ...label, epoch, enforce };
    this.#rememberEpoch(activated);
    control.writeSlot(slot, activated);
    if (options.fallbackAfterMs !== null)
      control.writeDeadline(this.#bootNs() + BigInt(Math.round(options.fallbackAfterMs)) * 1_000_000n);
    control.write({
      slot,
      enforce,
      workloads: label.workloadSets > 0,
      deadlineArmed: options.fallbackAfterMs !== null,
      otherEnforce: before.enforce,
      otherWorkloads: before.workloads,
      epoch,
      otherEpoch: before.epoch,
      emergency: before.emergency,
    });
    readers.left();
    this.#lastActivated = prepared.program;
    const elapsedUs = (performance.now() - start) * 1000;
    for (const path of otherTrees(this.#treeSettings())) {
      this.#detachEdge(path);
      removeTree(path);
    }
    return elapsedUs;
  }

  confirm(): void {
    const { control } = this.#held();
    const word = control.read();
    if (!word.deadlineArmed) return;
    if (this.#expired(word))
      throw new Failure({
        code: ErrorCode.DEADLINE_EXCEEDED,
        message: "The time to confirm is over; the host has returned to the generation before.",
      });
    control.write({ ...word, deadlineArmed: false });
  }

  revert(): DatapathState {
    const { control, readers } = this.#held();
    const word = control.read();
    const other = control.readSlot(word.slot === 0 ? 1 : 0);
    if (other.generation !== 0 && other.epoch === 0)
      throw new Failure({ code: ErrorCode.NOTHING_PENDING, message: "There is no earlier generation to return to." });
    control.write(swapped(word));
    readers.left();
    return this.state();
  }

  setEmergency(emergency: Emergency): void {
    const { control } = this.#held();
    control.write({ ...control.read(), emergency });
  }

  readCounters(): readonly DecisionCounter[] {
    const { tree, control } = this.#held();
    const word = control.read();
    const slot = this.#expired(word) ? swapped(word).slot : word.slot;
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

  #endCounters(slot: 0 | 1): void {
    const last = this.#counterEnds.size > 0 ? this.#countersOf(slot) : null;
    if (last !== null) for (const listener of this.#counterEnds) listener(last);
  }

  onEvents(listener: (events: readonly FlowEvent[]) => void): () => void {
    return this.#held().drain.listen(listener);
  }

  losses(): EventLosses {
    return readLosses(this.#held().tree.maps.wl_losses);
  }

  /** What the tables that `prepare` loaded last say about a packet. For tests of the compiler and the kernel. */
  ask(packet: ProgramPacket): KernelAnswer {
    const { tree, control } = this.#held();
    return askKernel(tree.programs.selftest, control.read().slot === 0 ? 1 : 0, packet);
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
    if (this.#open === null) return;
    const { tree, control } = this.#open;
    try {
      for (const slot of this.#workloads.refresh(tree, control)) this.#renewEpoch(control, slot);
      this.#workloadProblem = null;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#workloadProblem = `Cgroups could not be assigned to their workloads: ${reason}`;
    }
  }

  /** A new stamp for the same tables: every flow looks up its set and verdict again. */
  #renewEpoch(control: Control, slot: 0 | 1): void {
    const word = control.read();
    const label = control.readSlot(slot);
    if (label.epoch === 0) return;
    const epoch = control.nextEpoch();
    this.#rememberEpoch({ ...label, epoch });
    control.writeSlot(slot, { ...label, epoch });
    control.write(word.slot === slot ? { ...word, epoch } : { ...word, otherEpoch: epoch });
  }

  /** Finds out now whether connections are translated. Runs every half minute by itself. */
  async checkTranslation(): Promise<void> {
    await this.#open?.vouching.checkTranslation();
  }

  #clocks(): { monotonicNs: bigint; bootNs: bigint } {
    return { monotonicNs: (this.#config.monotonicNs ?? monotonicTimeNs)(), bootNs: this.#bootNs() };
  }

  /** Puts back pins that somebody took away: without them enforcement ends with this process. Runs every second. */
  keepPins(): void {
    if (this.#open === null) return;
    try {
      const { mountedOn } = keepPins(this.#open.tree, this.#config.bpffsDir);
      this.#mountedOn = mountedOn ?? this.#mountedOn;
      this.#pinProblem = null;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#pinProblem = `The pins in ${this.#config.bpffsDir} are gone and cannot be put back (${reason}): what is enforced would end with the agent.`;
    }
  }

  /** Reports and removes silent flows. Runs every five seconds by itself. */
  sweep(): void {
    this.#open?.sweeper.run();
  }

  edgeInterfaces(): readonly string[] {
    return this.#open?.edge.describe() ?? [];
  }

  problems(): readonly string[] {
    const own = [this.#workloadProblem, this.#pinProblem].filter((problem) => problem !== null);
    return [...(this.#open?.edge.problems() ?? []), ...own];
  }

  /** Packets of denied sources that XDP dropped since the tree was made. They are in no other counter. */
  earlyDrops(): bigint {
    return this.#open?.edge.earlyDrops() ?? 0n;
  }

  /** Looks for interfaces that came or went. Runs every 100 ms by itself. */
  pollInterfaces(): void {
    this.#open?.edge.poll();
  }

  #interfaceSettings(): InterfaceSettings {
    const { networkNamespace = null, edge = null, earlyDrop = null } = this.#config;
    return { networkNamespace, edge, earlyDrop };
  }

  #detachEdge(treePath: string): void {
    detachEdge(treePath, this.#interfaceSettings().networkNamespace);
  }

  /** Hands over what waits in the rings now. Runs every 80 ms by itself. */
  drainEvents(): void {
    this.#open?.drain.drain();
  }

  async release(): Promise<void> {
    if (this.#open !== null) for (const slot of [0, 1] as const) this.#endCounters(slot);
    await this.close();
    const settings = this.#treeSettings();
    for (const path of allTrees(settings)) this.#detachEdge(path);
    removeAllTrees(settings);
    if (this.#mountedOn !== null) unmount(this.#mountedOn);
    this.#mountedOn = null;
  }

  async close(): Promise<void> {
    if (this.#open === null) return;
    const { tree, control, drain, sweeper, vouching, edge, readers, timers } = this.#open;
    this.#open = null;
    readers.close();
    vouching.close();
    this.#workloads.close();
    edge.close();
    for (const timer of timers) clearInterval(timer);
    sweeper.close();
    drain.drain();
    drain.close();
    control.close();
    closeTree(tree);
  }
}
