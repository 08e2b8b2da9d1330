/**
 * Enforcement by one nftables table, for hosts where eBPF cannot be used. How the table is built: tableLayout.ts.
 *
 * The table outlives the process; everything that this object answers is read from the kernel at that moment. Other
 * tables are never touched, and a table of our name that no agent made is refused.
 */
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { HostProgram } from "@wardline/domain/policy";
import { checkNftablesTableName, emitNftablesSlot, type NftablesPiece } from "@wardline/domain/policy/emit";
import { bootTimeNs } from "../../linux/bootClock.ts";
import type { NetworkInterface } from "../../linux/network/interfaces.ts";
import { leadsIntoNamespace } from "../ebpf/edge/interfaceRules.ts";
import {
  type ActivateOptions,
  type DatapathState,
  type DecisionCounter,
  type Emergency,
  type Enforcer,
  type EventLosses,
  type FlowEvent,
  type FlowProgress,
  noFlowProgress,
  type OverlayInterface,
  type PreparedProgram,
  type SlotCounters,
} from "../enforcer.ts";
import type { NftablesEnforcerConfig } from "./config.ts";
import { ContainerInterfaces } from "./containerInterfaces.ts";
import { confirmationPending, gone, NFTABLES_LIMITS, putBack, unsupported } from "./nftablesWords.ts";
import { NftCommand } from "./nftCommand.ts";
import { heldOverlay, OverlayName } from "./overlayName.ts";
import { NOTHING_LOADED, OwnTable } from "./ownTable.ts";
import { verifyPieces } from "./readBack.ts";
import { readDecisionCounters, readSlotCounters } from "./slotCounting.ts";
import { TableKeeper } from "./tableKeeper.ts";
import {
  type Decider,
  denyRule,
  EMPTY_LABEL,
  otherSlot,
  SLOT_NAMES,
  type SlotLabel,
  type SlotName,
  slotPrefix,
} from "./tableLayout.ts";
import { namesOfSlot, type TableView } from "./tableView.ts";

export const DEFAULT_TABLE_NAME = "wardline";

const WATCH_INTERVAL_MS = 1000;

export function createNftablesEnforcer(config: NftablesEnforcerConfig): NftablesEnforcer {
  return new NftablesEnforcer(config);
}

export class NftablesEnforcer implements Enforcer {
  readonly name = "nftables";
  readonly #table: OwnTable;
  readonly #bootNs: () => bigint;
  readonly #namespace: string | null;
  readonly #isInner: (entry: NetworkInterface) => boolean;
  #containers: ContainerInterfaces | null = null;
  #timer: NodeJS.Timeout | null = null;
  /** The table is not looked after meanwhile. */
  #isFilling = false;
  readonly #keeper = new TableKeeper();
  readonly #overlay = new OverlayName();
  readonly #watchIntervalMs: number;
  readonly #counterEnds = new Set<(last: SlotCounters) => void>();

  constructor(config: NftablesEnforcerConfig) {
    const { nft, tableName = DEFAULT_TABLE_NAME, networkNamespace = null, isInner, bootNs } = config;
    this.#watchIntervalMs = config.watchIntervalMs ?? WATCH_INTERVAL_MS;
    this.#namespace = networkNamespace;
    this.#isInner = isInner ?? leadsIntoNamespace;
    this.#table = new OwnTable(checkNftablesTableName(tableName), new NftCommand(nft), networkNamespace);
    this.#bootNs = bootNs ?? bootTimeNs;
  }

  get limits(): readonly string[] {
    const { repairs } = this.#keeper;
    return repairs === 0 ? NFTABLES_LIMITS : [...NFTABLES_LIMITS, putBack(repairs)];
  }

  async open(): Promise<DatapathState> {
    const wasOpen = this.#table.isOpen;
    try {
      this.#table.open();
      this.#keeper.note(this.#whole());
      this.#containers ??= new ContainerInterfaces(this.#namespace, this.#isInner);
      this.#containers.refresh(this.#table, { always: true });
      this.#timer ??= setInterval(() => this.#watch(), this.#watchIntervalMs).unref();
      return this.state();
    } catch (error) {
      if (!wasOpen) this.#close();
      throw error;
    }
  }

  #watch(): void {
    try {
      if (this.#isFilling) return;
      this.#keeper.keep(this.#table, this.#bootMs());
      this.refreshInterfaces();
      this.#overlay.refresh(this.#table);
    } catch {
      // Tried again in a second, and the state says what is wrong. Packets of a new container are judged twice meanwhile.
    }
  }

  #bootMs(): number {
    return Number(this.#bootNs() / 1_000_000n);
  }

  #close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    this.#containers?.close();
    this.#containers = null;
    this.#table.close();
    this.#keeper.forget();
  }

  state(): DatapathState {
    const view = this.#table.look();
    if (view === null) return NOTHING_LOADED;
    const { decider, labels, attached, expired } = view;
    const active = decider.candidate?.slot ?? decider.slot;
    const other = labels[otherSlot(active)];
    const label = labels[active] ?? EMPTY_LABEL;
    const previous = other?.state === "activated" ? other : EMPTY_LABEL;
    return {
      attached,
      generation: label.generation,
      mode: label.mode,
      programDigest: label.digest,
      previousGeneration: previous.generation,
      previousProgramDigest: previous.digest,
      previousMode: previous.mode,
      deadlineBootMs: decider.candidate?.untilBootMs ?? null,
      expired,
      emergency: decider.emergency,
    };
  }

  async prepare(program: HostProgram, generation: number): Promise<PreparedProgram> {
    this.#isFilling = true;
    try {
      return await this.#fill(program, generation);
    } finally {
      this.#isFilling = false;
    }
  }

  async #fill(program: HostProgram, generation: number): Promise<PreparedProgram> {
    const start = performance.now();
    const { decider, labels } = this.#vacateOtherSlot();
    const slot = otherSlot(decider.slot);
    const { pieces, refused } = emitNftablesSlot(program, slotPrefix(slot));
    if (refused.length > 0) throw unsupported(refused);
    const label: SlotLabel = { state: "prepared", generation, digest: program.digest, mode: "observe" };
    const present = await this.#table.readSlowly((reader) => namesOfSlot(reader, slot));
    const filling = this.#table.scripts.fill(slot, pieces, label, present);
    await this.#table.nft.check(filling);
    this.#endCounters(slot, labels[slot]);
    await this.#table.nft.apply(filling);
    const filled = performance.now();
    await this.#verify(slot, pieces, label, decider);
    const timings = {
      fillUs: Math.round((filled - start) * 1000),
      selfTestUs: Math.round((performance.now() - filled) * 1000),
    };
    return { generation, program, timings };
  }

  /** The kernel walks through every chain of the slot when it is asked whether hooks may lead there. */
  async #verify(slot: SlotName, pieces: readonly NftablesPiece[], label: SlotLabel, decider: Decider): Promise<void> {
    const deny: NftablesPiece = {
      kind: "chain",
      name: `${slotPrefix(slot)}deny`,
      hook: null,
      rules: [denyRule(label)],
    };
    await this.#table.readSlowly(async (reader) =>
      verifyPieces(reader, slotPrefix(slot), [deny, ...pieces], await namesOfSlot(reader, slot)),
    );
    await this.#table.nft.check(this.#table.scripts.decide({ ...decider, slot }));
  }

  /** Refuses while the other slot is what an armed deadline would fall back to. */
  #vacateOtherSlot(): TableView {
    if (this.#table.attached().expired) this.revert();
    const view = this.#table.attached();
    if (view.decider.candidate === null) return view;
    throw confirmationPending();
  }

  activate(prepared: PreparedProgram, options: ActivateOptions): number {
    const start = performance.now();
    const { decider, labels } = this.#table.attached();
    const slot = otherSlot(decider.slot);
    const { generation } = prepared;
    const { digest } = prepared.program;
    const held = labels[slot];
    if (
      decider.candidate !== null ||
      held?.state !== "prepared" ||
      held.generation !== generation ||
      held.digest !== digest
    )
      throw gone(generation);
    const fallbackAfterMs = options.fallbackAfterMs === null ? null : Math.max(1, Math.round(options.fallbackAfterMs));
    const untilBootMs = this.#bootMs() + (fallbackAfterMs ?? 0);
    const next: Decider =
      fallbackAfterMs === null ? { ...decider, slot } : { ...decider, candidate: { slot, untilBootMs } };
    const label: SlotLabel = { state: "activated", generation, digest, mode: options.mode };
    this.#table.nft.applyNow(this.#table.scripts.activate(slot, label, next, fallbackAfterMs));
    const elapsedUs = (performance.now() - start) * 1000;
    this.#keeper.learn(prepared.program, generation);
    this.#keeper.note(this.#table.look());
    return elapsedUs;
  }

  confirm(): void {
    const { decider } = this.#table.attached();
    if (decider.candidate === null) return;
    const { slot } = decider.candidate;
    try {
      this.#table.nft.applyNow(this.#table.scripts.confirm({ ...decider, slot, candidate: null }));
      this.#keeper.note(this.#table.look());
    } catch (error) {
      if (!this.#table.attached().expired) throw error;
      throw new Failure(
        {
          code: ErrorCode.DEADLINE_EXCEEDED,
          message: "The time to confirm is over; the host has returned to the generation before.",
        },
        { cause: error },
      );
    }
  }

  /** Generation 0 is what is left of a table that somebody removed and this process knows nothing of. */
  revert(): DatapathState {
    const { decider, labels } = this.#whole();
    if (decider.candidate !== null) return this.#settle({ ...decider, candidate: null });
    const slot = otherSlot(decider.slot);
    const other = labels[slot];
    if (other?.state !== "activated") {
      if (other === null && labels[decider.slot]?.generation === 0) return this.state();
      throw new Failure({ code: ErrorCode.NOTHING_PENDING, message: "There is no earlier generation to return to." });
    }
    return this.#settle({ ...decider, slot });
  }

  #settle(decider: Decider): DatapathState {
    this.#table.nft.applyNow(this.#table.scripts.settle(decider));
    this.#keeper.note(this.#table.look());
    return this.state();
  }

  /** The table, put back first when somebody removed or changed it. */
  #whole(): TableView {
    this.#keeper.keep(this.#table, this.#bootMs());
    return this.#table.restore();
  }

  /** Makes the table first when somebody removed it: the brake has to work then as well. */
  setEmergency(emergency: Emergency): void {
    const { decider } = this.#whole();
    if (decider.emergency === emergency) return;
    this.#table.nft.applyNow(this.#table.scripts.decide({ ...decider, emergency }));
    this.#keeper.note(this.#table.look());
  }

  /**
   * Tells the table which interfaces lead into containers, when that changed. Runs every second by itself; while no agent
   * runs, a new container's packets are judged both as coming in and as going out.
   */
  refreshInterfaces(): void {
    const view = this.#table.isOpen ? this.#table.look() : null;
    if (view?.attached === true) this.#containers?.refresh(this.#table);
  }

  setOverlay(overlay: OverlayInterface | null): void {
    this.#overlay.set(this.#table, overlay);
  }

  heldOverlay(): Partial<OverlayInterface> | null {
    return heldOverlay(this.#table);
  }

  /** Remembered so that the table can be put back when somebody removes it. */
  recall(program: HostProgram, generation: number): void {
    this.#keeper.learn(program, generation);
  }

  readCounters(): readonly DecisionCounter[] {
    const view = this.#table.look();
    if (view === null) return [];
    const { decider, expired } = view;
    const deciding = expired || decider.candidate === null ? decider.slot : decider.candidate.slot;
    return readDecisionCounters(this.#table.reader, deciding);
  }

  slotCounters(): readonly SlotCounters[] {
    const labels = this.#table.look()?.labels;
    if (!labels) return [];
    return SLOT_NAMES.flatMap((slot) => readSlotCounters(this.#table.reader, slot, labels[slot]) ?? []);
  }

  onCountersEnd(listener: (last: SlotCounters) => void): () => void {
    this.#counterEnds.add(listener);
    return () => void this.#counterEnds.delete(listener);
  }

  #endCounters(slot: SlotName, label: SlotLabel | null): void {
    const last = this.#counterEnds.size > 0 ? readSlotCounters(this.#table.reader, slot, label) : null;
    if (last !== null) for (const listener of this.#counterEnds) listener(last);
  }

  /** Never called: see `limits`. */
  onEvents(_listener: (events: readonly FlowEvent[]) => void): () => void {
    return () => {};
  }

  losses(): EventLosses {
    return { ringFull: 0n, rateLimited: 0n, notFollowed: 0n };
  }

  flowProgress(): AsyncIterable<readonly FlowProgress[]> {
    return noFlowProgress();
  }

  async release(): Promise<void> {
    this.#table.open();
    try {
      if (this.#table.owner() !== "agent") return;
      const labels = this.#table.look()?.labels;
      for (const slot of SLOT_NAMES) this.#endCounters(slot, labels?.[slot] ?? null);
      this.#table.nft.applyNow(this.#table.scripts.remove());
    } finally {
      this.#close();
    }
  }

  async close(): Promise<void> {
    this.#close();
  }
}
