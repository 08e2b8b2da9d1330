import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";
import { ErrorCode, Failure } from "../../errors/index.ts";
import type { SourceRange } from "../model.ts";
import type { Decision } from "../program.ts";

export const EMIT_TARGETS = ["nftables", "pf"] as const;

export type EmitTarget = (typeof EMIT_TARGETS)[number];

/** Something that a target cannot do. Nothing is approximated, so one of these is enough to refuse the whole host. */
export interface Refusal {
  /** `null` when no single policy is behind it. */
  readonly policyKey: string | null;
  /** As in {@link Decision}. */
  readonly rule: string | null;
  readonly source: SourceRange | null;
  /** One sentence: what cannot be done, and why. */
  readonly message: string;
}

export interface Emission {
  readonly target: EmitTarget;
  /** `null` when anything was refused. */
  readonly script: string | null;
  /** SHA-256 of the script's UTF-8 bytes, 64 hex digits; `null` without a script. */
  readonly digest: string | null;
  readonly refused: readonly Refusal[];
}

export function refuseAll(target: EmitTarget, refused: readonly Refusal[]): Emission {
  return { target, script: null, digest: null, refused };
}

export function emitted(target: EmitTarget, lines: Iterable<string>): Emission {
  const script = `${[...lines].join("\n")}\n`;
  return { target, script, digest: bytesToHex(sha256(utf8ToBytes(script))), refused: [] };
}

/** The script. Throws `POLICY_UNSUPPORTED`, which names each policy and line, when anything was refused. */
export function requireScript(emission: Emission): string {
  if (emission.script !== null) return emission.script;
  throw new Failure({
    code: ErrorCode.POLICY_UNSUPPORTED,
    message: `${emission.target} cannot enforce this: ${emission.refused.map(describeRefusal).join(" ")}`,
    hint: "Change the policies that are named, or let the Wardline agent enforce them.",
    source: emission.refused.find(({ source }) => source !== null)?.source ?? null,
  });
}

export function describeRefusal({ policyKey, rule, source, message }: Refusal): string {
  const place = source === null ? "" : ` (${source.file}:${source.line})`;
  const who = policyKey === null ? "" : `${[policyKey, rule].filter((part) => part !== null).join(", ")}${place}: `;
  return `${who}${message}`;
}

/** The same refusal for each policy behind some decisions, once each; for nobody in particular when there is none. */
export function refusalsOf(decisions: Iterable<Decision>, message: string): readonly Refusal[] {
  const refused = new Map<string, Refusal>();
  for (const { policyKeys, rule, source } of decisions) {
    for (const policyKey of policyKeys) {
      refused.set(`${policyKey} ${rule}`, { policyKey, rule, source, message });
    }
  }
  return refused.size > 0 ? [...refused.values()] : [{ policyKey: null, rule: null, source: null, message }];
}
