import { type DecisionContent, type Direction, describeDecision } from "@wardline/domain/policy";
import {
  type AccessEnd,
  type AccessModel,
  createAccessModel,
  formatPortSet,
  membersOf,
  parseAccessEnd,
  type ReachAnswer,
  type ReachRow,
  reach,
} from "@wardline/domain/policy/access";
import { EXIT, type ExitCode, UsageError } from "../exit-code.ts";
import { readSources, worldOf } from "../input/sources.ts";
import type { Output } from "../output.ts";
import { formatTable } from "../terminal/table.ts";
import { visible } from "../terminal/visible.ts";
import { describedDecision, partyData } from "./access-data.ts";
import type { ReachOptions } from "./policy-reach.options.ts";

/** `wardline policy reach`. */
export async function policyReach(output: Output, options: ReachOptions): Promise<ExitCode> {
  if (options.from === undefined && options.to === undefined) {
    throw new UsageError("Whom is this about?", "Give --from GROUP, --to GROUP, or both.");
  }
  const world = worldOf(output, await readSources(options));
  if (typeof world === "number") return world;
  const from = parseAccessEnd(world.inventory, options.from ?? "any");
  const to = parseAccessEnd(world.inventory, options.to ?? "any");
  const model = createAccessModel(world);
  const { withoutAddress, nobody } = endsWithoutAddress(output, model, { from, to });
  const answer = reach(model, { from, to, limit: options.limit });
  const question = { from: options.from ?? "any", to: options.to ?? "any" };
  if (output.format === "json") output.json({ ...question, ...answerData(answer), withoutAddress, nobody });
  else if (nobody.length === 0) output.text(formatAnswer(output, question, answer));
  // "Nothing is allowed" would be taken for good news, by a person and by a script.
  return nobody.length === 0 ? EXIT.done : EXIT.problems;
}

interface Unanswerable {
  /** Keys of members in no connection. */
  readonly withoutAddress: readonly string[];
  /** Sides of the question that nobody with an address is on. */
  readonly nobody: readonly ("from" | "to")[];
}

/** Says what an answer cannot be about. Nobody at all is most likely a misspelt label. */
function endsWithoutAddress(
  output: Output,
  model: AccessModel,
  ends: Readonly<Record<"from" | "to", AccessEnd>>,
): Unanswerable {
  const keys = new Set<string>();
  const nobody: ("from" | "to")[] = [];
  for (const side of ["from", "to"] as const) {
    const { endpoints, withoutAddress, hasOutside } = membersOf(model, ends[side]);
    for (const key of withoutAddress) keys.add(key);
    if (endpoints.length > 0 || hasOutside) continue;
    nobody.push(side);
    const why = withoutAddress.length > 0 ? "has an address" : "is in that group";
    output.note(`Nobody in the inventory ${why} (--${side}), so nothing can be said about it.`);
  }
  const sorted = [...keys].sort();
  if (sorted.length > 0) output.note(`Without an address, and so in no connection: ${visible(sorted.join(", "))}`);
  return { withoutAddress: sorted, nobody };
}

function answerData({ rows, leftOut }: ReachAnswer): object {
  return {
    rows: rows.map(({ from, to, ports, egress, ingress }) => ({
      from: partyData(from),
      to: partyData(to),
      ports,
      portsText: formatPortSet(ports),
      egress: describedDecision(egress, "egress"),
      ingress: describedDecision(ingress, "ingress"),
    })),
    leftOut,
  };
}

function formatAnswer(
  output: Output,
  question: { readonly from: string; readonly to: string },
  { rows, leftOut }: ReachAnswer,
): string {
  const asked = `${visible(question.from)} → ${visible(question.to)}`;
  if (rows.length === 0) return `${asked}: nothing is allowed.\n`;
  const { dim } = output.style;
  const lines = rows.map((row) => [
    row.from.text,
    "→",
    row.to.text,
    formatPortSet(row.ports),
    { text: formatRules(row), paint: dim },
  ]);
  const more = leftOut > 0 ? `${leftOut} more rows are not shown (--limit).\n` : "";
  return `${formatTable(["FROM", "", "TO", "PORTS", "BY"], lines)}${more}`;
}

function formatRules({ egress, ingress }: ReachRow): string {
  const texts = [formatRule(egress, "egress"), formatRule(ingress, "ingress")].filter((text) => text !== null);
  return texts.length === 0 ? "no policy restricts it" : texts.join(" and ");
}

/** `null` where nothing restricts this side. */
function formatRule(decision: DecisionContent, direction: Direction): string | null {
  if (decision.reason === "not-isolated") return null;
  const place = decision.source === null ? "" : ` (${decision.source.file}:${decision.source.line})`;
  return `${describeDecision(decision, direction).replace(/^allowed by /, "")}${place}`;
}
