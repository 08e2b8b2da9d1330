/**
 * What the backend has to remember because pf does not: the texts of both slots, the token, the deadline. Which text is
 * in force is asked of pf itself (see anchorText.ts); this record only says what belongs to it.
 */
import { createHash } from "node:crypto";
import type { Emergency, EnforcementMode } from "../enforcer.ts";

export interface PfSlot {
  /** 0 = nothing was ever activated here. */
  readonly generation: number;
  readonly digest: string;
  readonly mode: EnforcementMode;
  /** `null` when only pf knows it: adopted after the record was lost. */
  readonly script: string | null;
}

export interface PfRecord {
  /** The enable reference that pf gave; `null` = none. */
  readonly token: string | null;
  readonly active: PfSlot;
  /** What `revert` returns to; `null` = nothing that is known to be right. */
  readonly previous: PfSlot | null;
  /** Boot clock in ms; `null` = confirmed. Means nothing after a reboot. */
  readonly deadlineBootMs: number | null;
  readonly emergency: Emergency;
}

export const EMPTY_SLOT: PfSlot = { generation: 0, digest: "", mode: "observe", script: "" };

export const EMPTY_RECORD: PfRecord = {
  token: null,
  active: EMPTY_SLOT,
  previous: EMPTY_SLOT,
  deadlineBootMs: null,
  emergency: "none",
};

export interface PfStore {
  /** `null` when nothing was ever written. Throws when it cannot be read or is damaged. */
  read(): PfRecord | null;
  /** On disk when it returns. Throws the error of the file system; then the former record still counts. */
  write(record: PfRecord): void;
  clear(): void;
}

const FORMAT = 1;

export function encodeRecord(record: PfRecord): string {
  const body = JSON.stringify({ format: FORMAT, ...record });
  return `${sha256(body)}\n${body}\n`;
}

/** Throws with a sentence when the text is not a whole record. */
export function decodeRecord(text: string): PfRecord {
  const [checksum, body = ""] = text.split("\n");
  if (checksum !== sha256(body)) throw new Error("the record of what pf enforces is damaged");
  // The checksum says that this program wrote it: only the version has to be looked at.
  const { format, ...record } = JSON.parse(body) as PfRecord & { readonly format: number };
  if (format !== FORMAT) throw new Error(`the record of what pf enforces has the unknown format ${format}`);
  return record;
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
