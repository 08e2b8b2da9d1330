/** What the kernel holds of our table, and whether it is ours. Nothing is remembered from one call to the next. */
import { NFTABLES_SLOT_HOOKS, type NftablesSlotHook } from "@wardline/domain/policy/emit";
import type { KernelRule, NftablesReader } from "../../linux/netfilter/nftablesReader.ts";
import type { Emergency } from "../enforcer.ts";
import { areRules } from "./readBack.ts";
import {
  CANDIDATE_SET,
  type Decider,
  decidingRules,
  otherSlot,
  type PresentNames,
  readEmergency,
  readLabel,
  readUntil,
  type SlotLabel,
  type SlotName,
  slotPrefix,
  TABLE_MARKER,
} from "./tableLayout.ts";

export interface TableView {
  /** True when every hook has its rules and no others, and leads to a slot that is there. */
  readonly attached: boolean;
  readonly decider: Decider;
  /** True when the candidate's time is over: the other slot decides although the rules still name both. */
  readonly expired: boolean;
  /** By slot; `null` for one that holds nothing that can be named. */
  readonly labels: Readonly<Record<SlotName, SlotLabel | null>>;
}

export type TableOwner = "nobody" | "agent" | "other-layout" | "stranger";

/** Whose table of that name it is; `nobody` = there is none. */
export function ownerOfTable(reader: NftablesReader): TableOwner {
  if (reader.tableHandle() === null) return "nobody";
  const comment = reader.setComment(CANDIDATE_SET);
  if (comment === TABLE_MARKER) return "agent";
  return comment?.startsWith("Wardline agent") === true ? "other-layout" : "stranger";
}

/** `null` when no hook says which slot decides: the table is gone, or emptied by somebody. */
export function viewTable(reader: NftablesReader): TableView | null {
  const hooks = NFTABLES_SLOT_HOOKS.map((hook) => ({ hook, rules: reader.rules(hook) }));
  const decider = hooks.map(({ hook, rules }) => readDecider(hook, rules)).find((each) => each !== null) ?? null;
  if (decider === null) return null;
  const labels = { a: readSlotLabel(reader, "a"), b: readSlotLabel(reader, "b") };
  const deciding = decider.candidate?.slot ?? decider.slot;
  const attached =
    hooks.every(({ hook, rules }) => areRules(decidingRules(hook, decider), rules)) &&
    labels[deciding] !== null &&
    labels[decider.slot] !== null &&
    NFTABLES_SLOT_HOOKS.every(
      (hook) => reader.chain(hook)?.isBase === true && reader.rules(slotPrefix(deciding) + hook).length > 0,
    );
  const expired = decider.candidate !== null && reader.elements(CANDIDATE_SET).length === 0;
  return { attached, decider, expired, labels };
}

function readDecider(hook: NftablesSlotHook, rules: readonly KernelRule[]): Decider | null {
  const last = rules.at(-1);
  const slot = last === undefined ? null : slotOf(last, hook);
  if (last === undefined || slot === null) return null;
  const candidateRule = rules.find(({ lookups }) => lookups.includes(CANDIDATE_SET));
  const candidateSlot = candidateRule === undefined ? null : slotOf(candidateRule, hook);
  const untilBootMs = candidateRule === undefined ? null : readUntil(candidateRule.comment);
  if (candidateRule !== undefined && (candidateSlot !== otherSlot(slot) || untilBootMs === null)) return null;
  const candidate = candidateSlot === null || untilBootMs === null ? null : { slot: candidateSlot, untilBootMs };
  return { slot, candidate, emergency: emergencyOf(rules) };
}

/** Which slot's chain of a hook a rule leads to. */
function slotOf({ verdict }: KernelRule, hook: NftablesSlotHook): SlotName | null {
  const [, slot] = new RegExp(`^goto ([ab])_(?:closed_)?${hook}$`).exec(verdict) ?? [];
  return slot === "a" || slot === "b" ? slot : null;
}

/** The rule that says so must also do so. */
function emergencyOf(rules: readonly KernelRule[]): Emergency {
  const [first] = rules;
  if (first !== undefined && first.verdict === "accept" && readEmergency(first.comment) === "open") return "open";
  return rules.at(-1)?.verdict.includes("_closed_") === true ? "closed" : "none";
}

function readSlotLabel(reader: NftablesReader, slot: SlotName): SlotLabel | null {
  const [rule] = reader.rules(`${slotPrefix(slot)}deny`);
  return rule === undefined ? null : readLabel(rule.comment, rule.verdict);
}

/** Everything whose name says that it belongs to a slot. */
export async function namesOfSlot(reader: NftablesReader, slot: SlotName): Promise<PresentNames> {
  const isOfSlot = (name: string): boolean => name.startsWith(slotPrefix(slot));
  const chains = await reader.chains();
  return {
    chains: chains.flatMap(({ name }) => (isOfSlot(name) ? [name] : [])),
    maps: reader.sets().filter(isOfSlot),
    counters: reader.counters().flatMap(({ name }) => (isOfSlot(name) ? [name] : [])),
  };
}
