/**
 * The text that is loaded into the anchor, and how it is recognised there.
 *
 * pf has no place for a name or a version. A table without addresses and without a rule that asks it changes no verdict,
 * and is loaded in the same transaction as the rules: its name says which generation these rules are. So the answer to
 * "what is in force" comes from the kernel, also after a crash between a load and a write to disk.
 */
import { createHash, randomBytes } from "node:crypto";
import { formatCidr } from "@wardline/domain/policy";
import { type PfAnchor, pfEmergencyScript } from "@wardline/domain/policy/emit";
import type { Emergency, EnforcementMode } from "../enforcer.ts";
import type { PfSlot } from "./record.ts";

export interface Marker {
  readonly generation: number;
  readonly mode: EnforcementMode;
  readonly emergency: Emergency;
  /** First digits of the program's digest. */
  readonly digestStart: string;
}

const DIGEST_DIGITS = 10;
const EMERGENCY_LETTERS = { none: "n", open: "o", closed: "c" } as const satisfies Record<Emergency, string>;
const MODE_LETTERS = { enforce: "e", observe: "o" } as const satisfies Record<EnforcementMode, string>;
/** At most 31 characters, which is what pf keeps of a table's name. */
const MARKER = new RegExp(`^wl_is_([noc])([eo])_([0-9a-z]{1,11})_([0-9a-f]{${DIGEST_DIGITS}})$`);

export function markerName(slot: PfSlot, emergency: Emergency): string {
  const letters = `${EMERGENCY_LETTERS[emergency]}${MODE_LETTERS[slot.mode]}`;
  return `wl_is_${letters}_${slot.generation.toString(36)}_${digestStartOf(slot)}`;
}

/** What the tables of an anchor say about its rules; `null` when they are not from here. */
export function readMarker(tables: readonly string[]): Marker | null {
  for (const table of tables) {
    const [, emergency, mode, generation = "", digestStart = ""] = MARKER.exec(table) ?? [];
    if (emergency === undefined) continue;
    return {
      generation: Number.parseInt(generation, 36),
      mode: mode === "e" ? "enforce" : "observe",
      emergency: emergency === "n" ? "none" : emergency === "o" ? "open" : "closed",
      digestStart,
    };
  }
  return null;
}

/** A slot that only pf knows has no digest to compare. */
export function marks(marker: Marker | null, slot: PfSlot): boolean {
  if (marker?.generation !== slot.generation || marker.mode !== slot.mode) return false;
  return slot.script === null || marker.digestStart === digestStartOf(slot);
}

function digestStartOf({ digest }: PfSlot): string {
  return digest.padEnd(DIGEST_DIGITS, "0").slice(0, DIGEST_DIGITS);
}

/** A slot's text with its marker, or the emergency's while one is declared. */
export function anchorText(slot: PfSlot, emergency: Emergency): string {
  if (emergency === "none" && slot.script === null) throw new Error("the text of this generation is not known");
  const script = emergency === "none" ? (slot.script ?? "") : pfEmergencyScript(emergency);
  return withEmptyTable(script, markerName(slot, emergency));
}

/** Behind the comments: tables come before rules in pf. */
function withEmptyTable(text: string, name: string): string {
  const lines = text.split("\n");
  const position = lines.findIndex((line) => !line.startsWith("#"));
  return lines.toSpliced(position, 0, `table <${name}> persist`).join("\n");
}

const LOAD_NAME = /^wl_load_[0-9a-f]{16}$/;

/** The text under a name of its own for this one load, because counters begin at zero with each. */
export function namedLoad(text: string): string {
  return withEmptyTable(text, `wl_load_${randomBytes(8).toString("hex")}`);
}

/** `null` when the anchor was not loaded from here. */
export function readLoadName(tables: readonly string[]): string | null {
  return tables.find((table) => LOAD_NAME.test(table)) ?? null;
}

export function isLoadName(table: string): boolean {
  return LOAD_NAME.test(table);
}

/** What pf has to show when exactly this text is loaded. */
export interface ExpectedContents {
  /** Of every filter rule in order, lists multiplied out. */
  readonly labelsDigest: string;
  readonly ruleCount: number;
  /** Canonical prefixes with `!` in front of negated ones, sorted. */
  readonly tables: ReadonlyMap<string, readonly string[]>;
}

export function expectedContents({ rules, tables }: PfAnchor): ExpectedContents {
  const labels = rules.flatMap(({ label, ports, icmpTypes }) =>
    Array.from({ length: (ports?.length ?? 1) * (icmpTypes?.length ?? 1) }, () => label),
  );
  return {
    labelsDigest: labelsDigest(labels),
    ruleCount: labels.length,
    tables: new Map(
      [...tables].map(([name, { entries }]) => [
        name,
        entries.map(({ cidr, negated }) => `${negated ? "!" : ""}${formatCidr(cidr)}`).sort(),
      ]),
    ),
  };
}

/** Labels of the rules that pf lists, in its order; an empty one for a rule without. Scrub rules have none and are left out. */
export function labelsOf(rules: readonly string[]): readonly string[] {
  return rules
    .filter((rule) => !/^(?:no )?scrub\b/.test(rule))
    .map((rule) => /\blabel "([^"]*)"/.exec(rule)?.[1] ?? "");
}

export function labelsDigest(labels: readonly string[]): string {
  return createHash("sha256").update(labels.join("\n")).digest("hex");
}
