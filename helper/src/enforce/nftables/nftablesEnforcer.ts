/**
 * Enforcement by one nftables table, for hosts where eBPF cannot be used. How the table is built: tableLayout.ts.
 *
 * The table outlives the process; everything that this object answers is read from the kernel at that moment. Other
 * tables are never touched, and a table of our name that no agent made is refused.
 */
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { HostProgram } from "@wardline/domain/policy";
import {
  checkNftablesTableName,
  emitEmptyNftablesSlot,
  emitNftablesSlot,
  type NftablesPiece,
} from "@wardline/domain/policy/emit";
import { bootTimeNs } from "../../linux/bootClock.ts";
import { NftablesReader } from "../../linux/netfilter/nftablesReader.ts";
import type {
  ActivateOptions,
  DatapathState,
  DecisionCounter,
  Emergency,
  Enforcer,
  EventLosses,
  FlowEvent,
  PreparedProgram,
} from "../enforcer.ts";
import { NFTABLES_LIMITS, notOurs, unsupported } from "./nftablesWords.ts";
import { NftCommand, type NftProgram } from "./nftCommand.ts";
import { verifyPieces } from "./readBack.ts";
import {
  type Decider,
  denyRule,
  EMPTY_LABEL,
  otherSlot,
  type SlotLabel,
  type SlotName,
  slotPrefix,
  TableScripts,
} from "./tableLayout.ts";
import { namesOfSlot, ownerOfTable, type TableView, viewTable } from "./tableView.ts";

export const DEFAULT_TABLE_NAME = "wardline";

export interface NftablesEnforcerConfig {
  /** Absolute path of `nft`, and in tests what enters a network namespace before it. */
  readonly nft: NftProgram;
  /** `wardline` unless given. Agents in different network namespaces may use the same name. */
  readonly tableName?: string;
  /** Path of the network namespace that `nft` works in; `null` (unless given) = that of this process. */
  readonly networkNamespace?: string | null;
  /** Boot clock; injected by tests. */
  readonly bootNs?: () => bigint;
}

/** Interface names that mean nothing to the parser of nft. */
const PLAIN_INTERFACE_NAME = /^[A-Za-z0-9_.:@-]{1,15}$/;
const COUNTER_NAME = /^[ab]_d(\d{1,6})_/;

export function createNftablesEnforcer(config: NftablesEnforcerConfig): NftablesEnforcer {
  return new NftablesEnforcer(config);
}

export class NftablesEnforcer implements Enforcer {
  readonly name = "nftables";
  readonly limits = NFTABLES_LIMITS;
  readonly #tableName: string;
  readonly #namespace: string | null;
  readonly #nft: NftCommand;
  readonly #scripts: TableScripts;
  readonly #bootNs: () => bigint;
  #reader: NftablesReader | null = null;

  constructor({ nft, tableName = DEFAULT_TABLE_NAME, networkNamespace = null, bootNs }: NftablesEnforcerConfig) {
    this.#tableName = checkNftablesTableName(tableName);
    this.#namespace = networkNamespace;
    this.#nft = new NftCommand(nft);
    this.#scripts = new TableScripts(this.#tableName);
    this.#bootNs = bootNs ?? bootTimeNs;
  }

  async open(): Promise<DatapathState> {
    const wasOpen = this.#reader !== null;
    this.#reader ??= new NftablesReader(this.#tableName, this.#namespace);
    try {
      this.#restore();
      return this.state();
    } catch (error) {
      if (!wasOpen) await this.close();
      throw error;
    }
  }

  /** Makes the table when there is none, and its hooks when somebody removed them. Changes nothing otherwise. */
  #restore(): TableView {
    const view = this.#view();
    if (view?.attached === true) return view;
    // What a hook still says is put in force at all of them; without a word of theirs nothing is known.
    const isWhole = view !== null && this.#isLoaded(view);
    if (isWhole) this.#nft.applyNow(this.#scripts.decide(view.decider));
    else this.#nft.applyNow(this.#creation("none"));
    return this.#attached();
  }

  #creation(emergency: Emergency): string {
    const decider: Decider = { slot: "a", candidate: null, emergency };
    return this.#scripts.create(emitEmptyNftablesSlot(slotPrefix("a")).pieces, decider);
  }

  #isLoaded({ decider, labels }: TableView): boolean {
    const slots = [decider.slot, ...(decider.candidate === null ? [] : [decider.candidate.slot])];
    return slots.every((slot) => labels[slot] !== null && this.#held().rules(`${slotPrefix(slot)}input`).length > 0);
  }

  #held(): NftablesReader {
    if (this.#reader === null) throw new Error("the enforcer is not open");
    return this.#reader;
  }

  /** `null` when there is no such table, or nothing in it. Throws `Failure` when it is not ours. */
  #view(): TableView | null {
    const reader = this.#held();
    const owner = ownerOfTable(reader);
    if (owner === "stranger" || owner === "other-layout") throw notOurs(this.#tableName, owner);
    return owner === "nobody" ? null : viewTable(reader);
  }

  #attached(): TableView {
    const view = this.#view();
    if (view?.attached === true) return view;
    throw new Failure({
      code: ErrorCode.KERNEL_REFUSED,
      message: `The table "inet ${this.#tableName}" is gone or was changed by another program. Nothing was changed.`,
      hint: "Apply the policies again; if this repeats, look for a firewall service that flushes the whole ruleset.",
      retryable: true,
    });
  }

  state(): DatapathState {
    const view = this.#view();
    if (view === null) return NOTHING;
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
    const start = performance.now();
    const { decider } = this.#vacateOtherSlot();
    const slot = otherSlot(decider.slot);
    const { pieces, refused } = emitNftablesSlot(program, slotPrefix(slot));
    if (refused.length > 0) throw unsupported(refused);
    const label: SlotLabel = { state: "prepared", generation, digest: program.digest, mode: "observe" };
    const filling = this.#scripts.fill(slot, pieces, label, namesOfSlot(this.#held(), slot));
    await this.#nft.check(filling);
    await this.#nft.apply(filling);
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
    const reader = this.#held();
    const deny: NftablesPiece = {
      kind: "chain",
      name: `${slotPrefix(slot)}deny`,
      hook: null,
      rules: [denyRule(label)],
    };
    await verifyPieces(reader, [deny, ...pieces], namesOfSlot(reader, slot));
    await this.#nft.check(this.#scripts.decide({ ...decider, slot }));
  }

  /** Refuses while the other slot is what an armed deadline would fall back to. */
  #vacateOtherSlot(): TableView {
    if (this.#attached().expired) this.revert();
    const view = this.#attached();
    if (view.decider.candidate === null) return view;
    throw new Failure({
      code: ErrorCode.CONFIRMATION_PENDING,
      message: "The last change waits for its confirmation; the rules before it are needed to return to.",
      hint: "Confirm it or roll it back first.",
      retryable: true,
    });
  }

  activate(prepared: PreparedProgram, options: ActivateOptions): number {
    const start = performance.now();
    const { decider, labels } = this.#attached();
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
      throw new Failure({
        code: ErrorCode.GENERATION_CONFLICT,
        message: `Generation ${generation} is no longer loaded. Nothing was changed.`,
        hint: "Apply again.",
        retryable: true,
      });
    const fallbackAfterMs = options.fallbackAfterMs === null ? null : Math.max(1, Math.round(options.fallbackAfterMs));
    const untilBootMs = Number(this.#bootNs() / 1_000_000n) + (fallbackAfterMs ?? 0);
    const next: Decider =
      fallbackAfterMs === null ? { ...decider, slot } : { ...decider, candidate: { slot, untilBootMs } };
    const label: SlotLabel = { state: "activated", generation, digest, mode: options.mode };
    this.#nft.applyNow(this.#scripts.activate(slot, label, next, fallbackAfterMs));
    return (performance.now() - start) * 1000;
  }

  confirm(): void {
    const { decider } = this.#attached();
    if (decider.candidate === null) return;
    const { slot } = decider.candidate;
    try {
      this.#nft.applyNow(this.#scripts.confirm({ ...decider, slot, candidate: null }));
    } catch (error) {
      if (!this.#attached().expired) throw error;
      throw new Failure(
        {
          code: ErrorCode.DEADLINE_EXCEEDED,
          message: "The time to confirm is over; the host has returned to the generation before.",
        },
        { cause: error },
      );
    }
  }

  /** A table that somebody removed is made again, empty: then generation 0 is what the host returned to. */
  revert(): DatapathState {
    const { decider, labels } = this.#restore();
    if (decider.candidate !== null) {
      this.#nft.applyNow(this.#scripts.settle({ ...decider, candidate: null }));
      return this.state();
    }
    const slot = otherSlot(decider.slot);
    const other = labels[slot];
    if (other?.state !== "activated") {
      if (other === null && labels[decider.slot]?.generation === 0) return this.state();
      throw new Failure({ code: ErrorCode.NOTHING_PENDING, message: "There is no earlier generation to return to." });
    }
    this.#nft.applyNow(this.#scripts.settle({ ...decider, slot }));
    return this.state();
  }

  /** Makes the table first when somebody removed it: the brake has to work then as well. */
  setEmergency(emergency: Emergency): void {
    const { decider } = this.#restore();
    if (decider.emergency === emergency) return;
    this.#nft.applyNow(this.#scripts.decide({ ...decider, emergency }));
  }

  /**
   * Interfaces that lead into something on this host (containers, virtual machines): what is forwarded there or comes
   * from there passes. None unless told. Throws a `RangeError` for a name that nft could misread; then nothing changed.
   */
  setInnerInterfaces(names: readonly string[]): void {
    const strange = names.find((name) => !PLAIN_INTERFACE_NAME.test(name));
    if (strange !== undefined) throw new RangeError(`"${strange}" is not a name of an interface`);
    this.#attached();
    this.#nft.applyNow(this.#scripts.setInner([...new Set(names)]));
  }

  /** A program needs nothing from this process once it is loaded. */
  recall(_program: HostProgram, _generation: number): void {}

  readCounters(): readonly DecisionCounter[] {
    const view = this.#view();
    if (view === null) return [];
    const { decider, expired } = view;
    const deciding = expired || decider.candidate === null ? decider.slot : decider.candidate.slot;
    return this.#held()
      .counters()
      .flatMap(({ name, packets, bytes }) => {
        const [, decision] = name.startsWith(slotPrefix(deciding)) ? (COUNTER_NAME.exec(name) ?? []) : [];
        return decision === undefined ? [] : [{ decision: Number(decision), packets, bytes, lastSeenBootNs: 0n }];
      })
      .sort((one, other) => one.decision - other.decision);
  }

  /** Never called: see `limits`. */
  onEvents(_listener: (events: readonly FlowEvent[]) => void): () => void {
    return () => {};
  }

  losses(): EventLosses {
    return { ringFull: 0n, rateLimited: 0n, notFollowed: 0n };
  }

  async release(): Promise<void> {
    this.#reader ??= new NftablesReader(this.#tableName, this.#namespace);
    try {
      if (ownerOfTable(this.#reader) === "agent") this.#nft.applyNow(this.#scripts.remove());
    } finally {
      await this.close();
    }
  }

  async close(): Promise<void> {
    this.#reader?.close();
    this.#reader = null;
  }
}

const NOTHING: DatapathState = {
  attached: false,
  generation: 0,
  mode: "observe",
  programDigest: "",
  previousGeneration: 0,
  previousProgramDigest: "",
  previousMode: "observe",
  deadlineBootMs: null,
  expired: false,
  emergency: "none",
};
