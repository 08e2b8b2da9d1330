/**
 * One host's program as an nftables script. `nft -f` loads it in one transaction: a table of its own is replaced whole,
 * and no packet sees half of it.
 *
 * A packet is decided by the same lookups as in the eBPF datapath, as verdict maps: remote address → chain of its class,
 * destination port → chain of its decision. Every packet is judged by the tables that are loaded now, replies as the
 * connection that they belong to, so that a flow which loses its permission ends with its next packet.
 */
import type { HostProgram } from "../program.ts";
import { type Emission, emitted, refuseAll } from "./emission.ts";
import { INPUT, Judging, OUTPUT } from "./nftables-judging.ts";
import { type NftablesPiece, pieceLines } from "./nftables-pieces.ts";
import { classRules } from "./port-rules.ts";
import { refuseWorkloads } from "./refusals.ts";
import { commentText } from "./text.ts";

export interface NftablesOptions {
  /** `observe` = everything is counted for its decision and passes. */
  readonly mode: "enforce" | "observe";
  /** The table that the script owns and replaces: `wardline`, or a name that starts so. Default `wardline`. */
  readonly tableName?: string;
}

const TABLE_NAME = /^wardline[A-Za-z0-9_]{0,40}$/;

/** Throws a `RangeError` for the name of a table that may be somebody else's. */
export function checkNftablesTableName(tableName: string): string {
  if (!TABLE_NAME.test(tableName)) throw new RangeError(`"${tableName}" is not a name for a table of ours`);
  return tableName;
}

/** Refuses workloads that are treated otherwise than their host; throws a `RangeError` for a table name of others. */
export function emitNftables(program: HostProgram, options: NftablesOptions): Emission {
  const tableName = checkNftablesTableName(options.tableName ?? "wardline");
  const rules = classRules(program);
  const refused = refuseWorkloads(program, rules);
  if (refused.length > 0) return refuseAll("nftables", refused);
  const enforces = options.mode === "enforce";
  const judging = new Judging(program, rules, { prefix: "", denial: enforces ? "drop" : "accept" });
  return emitted("nftables", scriptLines(program, tableName, enforces, tableOf(judging, enforces)));
}

function tableOf(judging: Judging, enforces: boolean): readonly NftablesPiece[] {
  const hook = (side: "input" | "output"): string =>
    `type filter hook ${side} priority filter; policy ${enforces ? "drop" : "accept"};`;
  const way = (side: "input" | "output") => [
    ...judging.loopback(side),
    "jump builtin",
    ...judging.judge(side === "input" ? INPUT : OUTPUT),
  ];
  return judging.pieces(BUILTINS_IN_SCRIPT, [
    judging.chain("builtin", judging.builtinRules()),
    judging.chain("input", way("input"), hook("input")),
    judging.chain("output", way("output"), hook("output")),
  ]);
}

function* scriptLines(
  { hostName, digest }: HostProgram,
  tableName: string,
  enforces: boolean,
  pieces: readonly NftablesPiece[],
): Iterable<string> {
  yield `# Wardline policy of host ${commentText(hostName)}, program ${digest}`;
  yield `# ${enforces ? "Enforces" : "Observes: counts and lets everything pass"}. Load with: nft -f FILE. Remove with: nft delete table inet ${tableName}`;
  yield `table inet ${tableName} {}`;
  yield `delete table inet ${tableName}`;
  yield `table inet ${tableName} {`;
  for (const piece of pieces) for (const line of pieceLines(piece)) yield line === "" ? line : `\t${line}`;
  yield "}";
}

export const BUILTINS_IN_SCRIPT = [
  "loopback",
  "neighborDiscovery",
  "pathMtu",
  "malformed",
  "fragment",
  "extensionHeader",
] as const;
