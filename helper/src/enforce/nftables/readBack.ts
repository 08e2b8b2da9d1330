/** Compares what the kernel holds of a slot with what was sent: every chain and rule, every map and element. */
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { NftablesMapPiece, NftablesPiece } from "@wardline/domain/policy/emit";
import type { KernelElement, KernelRule, NftablesReader } from "../../linux/netfilter/nftablesReader.ts";
import type { PresentNames } from "./tableLayout.ts";

/** Throws `Failure` SELF_TEST_FAILED, which names the first thing that differs. `names` = everything with that prefix. */
export async function verifyPieces(
  reader: NftablesReader,
  prefix: string,
  pieces: readonly NftablesPiece[],
  names: PresentNames,
): Promise<void> {
  const namesOf = (kind: NftablesPiece["kind"]) =>
    pieces.filter((piece) => piece.kind === kind).map(({ name }) => name);
  compareNames("chains", namesOf("chain"), names.chains);
  compareNames("maps", namesOf("map"), names.maps);
  compareNames("counters", namesOf("counter"), names.counters);
  const rules = await reader.rulesOfChains(prefix);
  for (const piece of pieces) {
    if (piece.kind === "chain") compareRules(piece.name, piece.rules, rules.get(piece.name) ?? []);
    if (piece.kind !== "map") continue;
    compareElements(piece, await reader.elementsSlowly(piece.name));
  }
}

function differs(what: string): Failure {
  return new Failure({
    code: ErrorCode.SELF_TEST_FAILED,
    message: `The kernel does not hold the rules that it was given: ${what}. They were not activated.`,
    hint: "Something else may have changed the table; apply again.",
    retryable: true,
  });
}

function compareNames(what: string, expected: readonly string[], actual: readonly string[]): void {
  const held = new Set(actual);
  const missing = expected.find((name) => !held.has(name));
  if (missing !== undefined) throw differs(`${missing} is missing`);
  if (held.size !== expected.length) throw differs(`it has ${held.size} ${what} instead of ${expected.length}`);
}

const COUNTER = /\bcounter name (\S+)/;
const VERDICT = /(?:^|\s)(accept|drop|return|(?:goto|jump) \S+)(?: comment ".*")?$/;
const LOOKUP = /\bvmap @(\S+)$/;

function compareRules(chain: string, expected: readonly string[], actual: readonly KernelRule[]): void {
  if (actual.length !== expected.length) {
    throw differs(`${chain} has ${actual.length} rules instead of ${expected.length}`);
  }
  const position = expected.findIndex((text, index) => !isRule(text, actual[index]));
  if (position !== -1) throw differs(`rule ${position + 1} of ${chain} is another one`);
}

/** Whether the kernel has exactly these rules, as far as {@link isRule} looks. */
export function areRules(expected: readonly string[], actual: readonly KernelRule[]): boolean {
  return actual.length === expected.length && expected.every((text, index) => isRule(text, actual[index]));
}

/** By what it counts for, where it leads and which map it asks; the kernel writes its conditions in another way. */
function isRule(text: string, rule: KernelRule | undefined): boolean {
  const wanted = [COUNTER.exec(text)?.[1] ?? "", VERDICT.exec(text)?.[1] ?? "", LOOKUP.exec(text)?.[1] ?? ""];
  const lookup = rule?.lookups.find((name) => !name.startsWith("__") && wanted[2] !== "") ?? "";
  return rule !== undefined && [rule.counter, rule.verdict, lookup].join() === wanted.join();
}

interface Range {
  readonly low: bigint;
  readonly high: bigint;
  readonly target: string;
}

function compareElements({ name, elements, isInterval }: NftablesMapPiece, held: readonly KernelElement[]): void {
  const ranges = isInterval ? intervals(held) : held.map((element) => single(element));
  const sorted = ranges.toSorted((one, other) => (one.low < other.low ? -1 : 1));
  if (sorted.length !== elements.length) {
    throw differs(`${name} has ${sorted.length} elements instead of ${elements.length}`);
  }
  const wanted = elements.toSorted((one, other) => (one.low < other.low ? -1 : 1));
  for (const [position, { text, low, high, target }] of wanted.entries()) {
    const range = sorted[position];
    if (range?.low !== low || range.high !== high || range.target !== `goto ${target}`) {
      throw differs(`${name} lacks ${text}`);
    }
  }
}

function single({ key, verdict }: KernelElement): Range {
  const value = numberOf(key);
  return { low: value, high: value, target: verdict };
}

/** The kernel keeps the first key of a range and the first one after it. */
function intervals(held: readonly KernelElement[]): readonly Range[] {
  const edges = held
    .map(({ key, isIntervalEnd, verdict }) => ({ at: numberOf(key), isIntervalEnd, verdict, bits: key.length * 8 }))
    .sort((one, other) =>
      one.at === other.at ? Number(other.isIntervalEnd) - Number(one.isIntervalEnd) : one.at < other.at ? -1 : 1,
    );
  const ranges: Range[] = [];
  let open: { readonly low: bigint; readonly target: string } | null = null;
  for (const { at, isIntervalEnd, verdict } of edges) {
    if (open !== null) ranges.push({ ...open, high: at - 1n });
    open = isIntervalEnd ? null : { low: at, target: verdict };
  }
  if (open !== null) ranges.push({ ...open, high: (1n << BigInt(edges[0]?.bits ?? 0)) - 1n });
  return ranges;
}

function numberOf(key: Buffer): bigint {
  return key.length === 0 ? 0n : BigInt(`0x${key.toString("hex")}`);
}
