/** What the slots of the table have counted. */
import type { NftablesReader } from "../../linux/netfilter/nftablesReader.ts";
import type { DecisionCounter, SlotCounters } from "../enforcer.ts";
import { type SlotLabel, type SlotName, slotPrefix } from "./tableLayout.ts";

const COUNTER_NAME = /^[ab]_d(\d{1,6})_/;

/** Of one slot, by decision, ascending. nftables does not know when a counter was hit last. */
export function readDecisionCounters(reader: NftablesReader, slot: SlotName): readonly DecisionCounter[] {
  return reader
    .counters()
    .flatMap(({ name, packets, bytes }) => {
      const [, decision] = name.startsWith(slotPrefix(slot)) ? (COUNTER_NAME.exec(name) ?? []) : [];
      return decision === undefined ? [] : [{ decision: Number(decision), packets, bytes, lastSeenBootNs: 0n }];
    })
    .sort((one, other) => one.decision - other.decision);
}

/** `null` when no program ever decided in the slot. A slot that is filled anew has chains that never were before. */
export function readSlotCounters(reader: NftablesReader, slot: SlotName, label: SlotLabel | null): SlotCounters | null {
  if (label?.state !== "activated" || label.generation === 0) return null;
  const [table, chain] = [reader.tableHandle(), reader.chain(`${slotPrefix(slot)}deny`)];
  if (table === null || chain === null) return null;
  const { generation, digest } = label;
  const storage = `table ${table} chain ${chain.handle}`;
  return { storage, generation, programDigest: digest, counters: readDecisionCounters(reader, slot) };
}
