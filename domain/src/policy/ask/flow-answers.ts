/** Answers about a recorded flow: what decided it then, and what would now. */
import { ErrorCode, Failure } from "../../errors/index.ts";
import { decideConnection } from "../access/index.ts";
import { canonicalAddress } from "../address.ts";
import { type DecisionContent, describeDecision } from "../decision.ts";
import { effectiveAddresses } from "../endpoints.ts";
import type { FlowEnd, PolicyFlow } from "../evaluation.ts";
import type { Direction, Endpoint, Inventory } from "../model.ts";
import { policyPort } from "../packet-port.ts";
import type { Answer, AskedFlow, AskSources } from "./answer.ts";
import { modelOf } from "./model-book.ts";
import type { Question } from "./question.ts";
import { connectionText, exampleOf, listed, reasonText } from "./reach-answers.ts";

export function answerWhyFlow(question: Extract<Question, { kind: "why-flow" }>, sources: AskSources): Answer {
  if (!sources.flow)
    throw new Failure({ code: ErrorCode.INVALID_ARGUMENT, message: "No recorded flows are kept here." });
  const flow = sources.flow();
  const { world } = sources;
  const { from, to } = endsOf(world.inventory, flow);
  const { protocol } = flow;
  const port = policyPort(flow.toAddress.includes(":") ? 6 : 4, protocol, flow.port);
  const policyFlow: PolicyFlow = { from: from.end, to: to.end, protocol, port };
  const connection = { ...policyFlow, ...decideConnection(modelOf(world), policyFlow) };
  const then = `${flow.enforced === "allow" ? "allowed" : "denied"} by ${flow.host}: ${describeDecision(flow.decision, flow.direction)}${place(flow.decision)}`;
  const isSame = connection.enforced === flow.enforced;
  const now = isSame
    ? "It would be decided the same now"
    : `Now it would be ${connection.enforced === "allow" ? "allowed" : "denied"}`;
  return {
    question,
    verdict: flow.enforced === "allow" ? "yes" : "no",
    sentence: `${connectionText(connection)} was ${then}. ${now}: ${reasonText(connection)}.`,
    notes: [from, to].flatMap(noteOf),
    rows: [],
    rowsLeftOut: 0,
    examples: [exampleOf(world, connection)],
    flowQuery: `src:${flow.fromAddress} dst:${flow.toAddress}`,
  };
}

function place({ source }: DecisionContent): string {
  return source === null || source.file === "" ? "" : ` (${source.file}:${source.line})`;
}

interface FoundEnd {
  readonly end: FlowEnd;
  /** Who else has the address; nobody where the host recorded whose connection it was. */
  readonly others: readonly string[];
}

function endsOf(inventory: Inventory, flow: AskedFlow): { readonly from: FoundEnd; readonly to: FoundEnd } {
  return { from: endOf(inventory, flow, "egress"), to: endOf(inventory, flow, "ingress") };
}

/**
 * As the simulation finds it: whom the host recorded, else whoever has the address. Several may: then the host comes
 * first, whose address it is when processes share its network.
 */
function endOf(inventory: Inventory, flow: AskedFlow, direction: Direction): FoundEnd {
  const recorded = flow.direction === direction ? recordedEnd(inventory, flow) : null;
  if (recorded !== null) return { end: recorded, others: [] };
  const text = direction === "egress" ? flow.fromAddress : flow.toAddress;
  const address = canonicalAddress(text) ?? text;
  const owners = inventory.endpoints
    .filter(({ addresses }) => addresses.some((own) => canonicalAddress(own) === address))
    .sort((left, right) => rank(left) - rank(right) || (left.key < right.key ? -1 : 1));
  const [owner, ...others] = owners;
  const isHere = flow.direction === direction && flow.subjectKey !== "" && flow.host !== "";
  const endpointKey = owner?.key ?? (isHere ? `Host/${flow.host}` : null);
  return { end: { endpointKey, address }, others: others.map(({ key }) => key) };
}

function rank({ kind }: Endpoint): number {
  return kind === "host" ? 0 : 1;
}

/** `null` = the inventory knows nothing of whom the host recorded. */
function recordedEnd(inventory: Inventory, flow: AskedFlow): FlowEnd | null {
  const { subjectKey } = flow;
  const subject = inventory.endpoints.find(({ key }) => key === subjectKey);
  if (!subject && !subjectKey.startsWith("Host/")) return null;
  const text = flow.direction === "egress" ? flow.fromAddress : flow.toAddress;
  const address = canonicalAddress(text) ?? text;
  // A connection that was refused at connect() had no address of its own yet: it would have used the subject's.
  const isUnset = flow.direction === "egress" && (address === "0.0.0.0" || address === "::");
  const own = !isUnset || !subject ? [] : effectiveAddresses(inventory, subject);
  const used = own.find((one) => one.includes(":") === address.includes(":"));
  return { endpointKey: subjectKey, address: used === undefined ? address : (canonicalAddress(used) ?? used) };
}

function noteOf({ end, others }: FoundEnd): readonly string[] {
  if (others.length === 0) return [];
  const more = others.length === 1 ? "has" : "have";
  return [`${listed(others)} ${more} the address ${end.address} too: the answer now is that of ${end.endpointKey}.`];
}
