/**
 * The table that this backend owns, and the scripts that change it. It holds two slots, `a` and `b`: chains, maps and
 * counters of one program each, whose names start with the slot's letter. One chain at each hook leads every packet to
 * the slot that decides, and says in its comments what an agent that starts later has to know:
 *
 *     chain input {
 *         type filter hook input priority filter; policy accept;
 *         accept comment "emergency open"                                        only in that emergency
 *         meta nfproto @candidate goto b_input comment "until boot 123456 ms"    only while a confirmation is awaited
 *         goto a_input
 *     }
 *
 * The elements of `candidate` expire by themselves: then packets fall through to the slot before, whoever is alive. In the
 * chain `deny` of a slot one rule drops or accepts what the program denies, and names generation and digest.
 */
import {
  NFTABLES_INNER_SET,
  NFTABLES_OVERLAY_SET,
  NFTABLES_SLOT_HOOKS,
  type NftablesPiece,
  type NftablesSlotHook,
  pieceLines,
} from "@wardline/domain/policy/emit";
import type { Emergency, EnforcementMode } from "../enforcer.ts";

export const SLOT_NAMES = ["a", "b"] as const;
export type SlotName = (typeof SLOT_NAMES)[number];

/** Comment of the set `candidate`: by it a table is known to be of an agent, and of which layout. */
export const TABLE_MARKER = "Wardline agent, table layout 1";
export const CANDIDATE_SET = "candidate";

const HOOK_PLACES: Readonly<Record<NftablesSlotHook, string>> = {
  input: "hook input priority filter",
  output: "hook output priority filter",
  forward_in: "hook forward priority filter",
  // After the other one: a packet that is let in is then judged on its way out.
  forward_out: "hook forward priority 1",
};

/** What a slot holds. `prepared` = it never decided, so there is nothing to return to. */
export interface SlotLabel {
  readonly state: "prepared" | "activated";
  readonly generation: number;
  /** Empty only for generation 0. */
  readonly digest: string;
  readonly mode: EnforcementMode;
}

/** Who decides, as the base chains say. */
export interface Decider {
  readonly slot: SlotName;
  /** Decides instead until its time is over; `null` = no confirmation is awaited. */
  readonly candidate: { readonly slot: SlotName; readonly untilBootMs: number } | null;
  readonly emergency: Emergency;
}

export const EMPTY_LABEL: SlotLabel = { state: "activated", generation: 0, digest: "", mode: "observe" };

export function otherSlot(slot: SlotName): SlotName {
  return slot === "a" ? "b" : "a";
}

export function slotPrefix(slot: SlotName): string {
  return `${slot}_`;
}

const LABEL = /^(prepared|activated) (\d{1,15}) program ([0-9A-Za-z]{0,80})$/;

export function labelText({ state, generation, digest }: SlotLabel): string {
  const text = `${state} ${generation} program ${digest}`;
  if (!LABEL.test(text)) throw new RangeError(`generation ${generation} and "${digest}" are no label`);
  return text;
}

/** `null` for a text that no agent wrote. */
export function readLabel(comment: string, verdict: string): SlotLabel | null {
  const [, state, generation, digest = ""] = LABEL.exec(comment) ?? [];
  if (verdict !== "drop" && verdict !== "accept") return null;
  if (state !== "prepared" && state !== "activated") return null;
  return { state, generation: Number(generation), digest, mode: verdict === "drop" ? "enforce" : "observe" };
}

export function denyRule(label: SlotLabel): string {
  return `${label.mode === "enforce" ? "drop" : "accept"} comment "${labelText(label)}"`;
}

const EMERGENCY_COMMENT = /^emergency (open|closed)$/;
const UNTIL_COMMENT = /^until boot (\d{1,15}) ms$/;

export function readEmergency(comment: string): Emergency {
  const [, emergency] = EMERGENCY_COMMENT.exec(comment) ?? [];
  return emergency === "open" || emergency === "closed" ? emergency : "none";
}

export function readUntil(comment: string): number | null {
  const [, milliseconds] = UNTIL_COMMENT.exec(comment) ?? [];
  return milliseconds === undefined ? null : Number(milliseconds);
}

/** Rules of a base chain. */
export function decidingRules(hook: NftablesSlotHook, { slot, candidate, emergency }: Decider): readonly string[] {
  const chain = (name: SlotName): string => `${slotPrefix(name)}${emergency === "closed" ? "closed_" : ""}${hook}`;
  return [
    ...(emergency === "open" ? ['accept comment "emergency open"'] : []),
    ...(candidate === null
      ? []
      : [
          `meta nfproto @${CANDIDATE_SET} goto ${chain(candidate.slot)} comment "until boot ${candidate.untilBootMs} ms"`,
        ]),
    `goto ${chain(slot)}${emergency === "closed" ? ' comment "emergency closed"' : ""}`,
  ];
}

export class TableScripts {
  readonly #table: string;

  constructor(tableName: string) {
    this.#table = `inet ${tableName}`;
  }

  /** The whole table in place of one of that name. `candidateForMs` = how long the decider's candidate decides. */
  create(slots: readonly FilledSlot[], decider: Decider, candidateForMs: number | null = null): string {
    const lines = [
      ...this.#remove(),
      `table ${this.#table} {`,
      `set ${CANDIDATE_SET} {`,
      "type nf_proto",
      "flags timeout",
      `comment "${TABLE_MARKER}"`,
      "}",
      `set ${NFTABLES_INNER_SET} {`,
      "type ifname",
      "}",
      "}",
      ...this.#overlaySet(),
      ...slots.flatMap(({ slot, pieces, label }) => this.#slotLines(slot, pieces, label)),
      ...this.#arm(candidateForMs),
      ...this.#decide(decider),
    ];
    return script(lines);
  }

  remove(): string {
    return script(this.#remove());
  }

  /** Fills a slot that no packet reaches, in place of the names that it has now. */
  fill(slot: SlotName, pieces: readonly NftablesPiece[], label: SlotLabel, present: PresentNames): string {
    return script([...this.#overlaySet(), ...this.#empty(present), ...this.#slotLines(slot, pieces, label)]);
  }

  /** Takes over from the present decider; `fallbackAfterMs` as in `ActivateOptions`. */
  activate(slot: SlotName, label: SlotLabel, decider: Decider, fallbackAfterMs: number | null): string {
    const deny = `${this.#table} ${slotPrefix(slot)}deny`;
    return script([
      `flush chain ${deny}`,
      `add rule ${deny} ${denyRule(label)}`,
      `flush set ${this.#table} ${CANDIDATE_SET}`,
      ...this.#arm(fallbackAfterMs),
      ...this.#decide(decider),
    ]);
  }

  /** Fails as a whole when the time of the candidate is over: an element that has expired cannot be deleted. */
  confirm(decider: Decider): string {
    return script([`delete element ${this.#table} ${CANDIDATE_SET} { ipv4, ipv6 }`, ...this.#decide(decider)]);
  }

  /** Ends whatever is awaited. */
  settle(decider: Decider): string {
    return script([`flush set ${this.#table} ${CANDIDATE_SET}`, ...this.#decide(decider)]);
  }

  /** Leaves the candidate and its time as they are. */
  decide(decider: Decider): string {
    return script(this.#decide(decider));
  }

  setInner(names: readonly string[]): string {
    return script(this.#setNames(NFTABLES_INNER_SET, names));
  }

  /** At most one. */
  setOverlay(names: readonly string[]): string {
    return script([...this.#overlaySet(), ...this.#setNames(NFTABLES_OVERLAY_SET, names)]);
  }

  /** Adding one that exists changes nothing: tables of earlier agents have none. */
  #overlaySet(): readonly string[] {
    return [`add set ${this.#table} ${NFTABLES_OVERLAY_SET} { type ifname; }`];
  }

  #setNames(name: string, names: readonly string[]): readonly string[] {
    const elements = names.map((each) => `"${each}"`).join(", ");
    const set = `${this.#table} ${name}`;
    return [`flush set ${set}`, ...(names.length > 0 ? [`add element ${set} { ${elements} }`] : [])];
  }

  #arm(milliseconds: number | null): readonly string[] {
    if (milliseconds === null) return [];
    const elements = ["ipv4", "ipv6"].map((family) => `${family} timeout ${milliseconds}ms`);
    return [`add element ${this.#table} ${CANDIDATE_SET} { ${elements.join(", ")} }`];
  }

  /** Adding a table that exists changes nothing, and deleting one that does not is an error. */
  #remove(): readonly string[] {
    return [`add table ${this.#table}`, `delete table ${this.#table}`];
  }

  #decide(decider: Decider): readonly string[] {
    return NFTABLES_SLOT_HOOKS.flatMap((hook) => [
      `add chain ${this.#table} ${hook} { type filter ${HOOK_PLACES[hook]}; policy accept; }`,
      `flush chain ${this.#table} ${hook}`,
      ...decidingRules(hook, decider).map((rule) => `add rule ${this.#table} ${hook} ${rule}`),
    ]);
  }

  #slotLines(slot: SlotName, pieces: readonly NftablesPiece[], label: SlotLabel): readonly string[] {
    const deny: NftablesPiece = {
      kind: "chain",
      name: `${slotPrefix(slot)}deny`,
      hook: null,
      rules: [denyRule(label)],
    };
    return [`table ${this.#table} {`, ...[deny, ...pieces].flatMap((piece) => [...pieceLines(piece)]), "}"];
  }

  /** Rules and maps refer to chains, rules to counters: what refers goes first. */
  #empty({ chains, maps, counters }: PresentNames): readonly string[] {
    return [
      ...chains.map((name) => `flush chain ${this.#table} ${name}`),
      ...maps.map((name) => `delete map ${this.#table} ${name}`),
      ...chains.map((name) => `delete chain ${this.#table} ${name}`),
      ...counters.map((name) => `delete counter ${this.#table} ${name}`),
    ];
  }
}

export interface FilledSlot {
  readonly slot: SlotName;
  readonly pieces: readonly NftablesPiece[];
  readonly label: SlotLabel;
}

/** What a slot consists of now. */
export interface PresentNames {
  readonly chains: readonly string[];
  readonly maps: readonly string[];
  readonly counters: readonly string[];
}

function script(lines: readonly string[]): string {
  return `${lines.join("\n")}\n`;
}
