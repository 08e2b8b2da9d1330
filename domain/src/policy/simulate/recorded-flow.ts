/** A flow as a host recorded it, as far as policies look at it, and how one is read from a line of JSON. */
import { canonicalAddress } from "../address.ts";
import type { Direction, Verdict } from "../model.ts";

export interface RecordedFlow {
  /** Unix time; `null` when it was not recorded. */
  readonly timeMs: number | null;
  /** `end` completes the counts of a connection whose `start` is a flow of its own. */
  readonly kind: "start" | "end" | "deny";
  /** From the point of view of the host that recorded it; `null` when unknown. */
  readonly direction: Direction | null;
  readonly protocol: number;
  /** Canonical; the end that opened the connection. */
  readonly sourceAddress: string;
  /** Canonical. */
  readonly destinationAddress: string;
  /** Destination port; `type << 8 | code` for ICMP. */
  readonly port: number;
  /** What the policy said then; `null` when it was not recorded. */
  readonly verdict: Verdict | null;
  /** What was done with the packet then: differs from the verdict in observe mode. */
  readonly enforced: Verdict | null;
  /** The endpoint on the recording host; empty when unknown. */
  readonly subjectKey: string;
  /** Name of the recording host; empty when unknown. */
  readonly host: string;
}

/** The fields of a line that count, of the right JSON type or absent. */
export interface RawFlow {
  timeMs: number | null;
  kind: string | number | undefined;
  direction: string | number | undefined;
  protocol: number | undefined;
  sourceAddress: string | undefined;
  destinationAddress: string | undefined;
  destinationPort: number | undefined;
  verdict: string | number | undefined;
  enforced: string | number | undefined;
  subjectKey: string | undefined;
  host: string | undefined;
}

/** Why a line is no flow, as a sentence without the line's number. */
export class NotAFlow {
  readonly problem: string;

  constructor(problem: string) {
    this.problem = problem;
  }
}

export const KINDS = choice("FLOW_EVENT_KIND_", ["start", "end", "deny"] as const);
export const DIRECTIONS = choice("DIRECTION_", ["ingress", "egress"] as const);
export const VERDICTS = choice("VERDICT_", ["allow", "deny"] as const);

/** Names and numbers of a protobuf enum whose first value, 0, is `UNSPECIFIED`; absent counts as that. */
function choice<Value extends string>(
  prefix: string,
  values: readonly Value[],
): ReadonlyMap<string | number | undefined, Value | null> {
  const known = new Map<string | number | undefined, Value | null>([
    [undefined, null],
    [0, null],
    [`${prefix}UNSPECIFIED`, null],
  ]);
  for (const [index, value] of values.entries()) {
    known.set(index + 1, value).set(prefix + value.toUpperCase(), value);
  }
  return known;
}

const MAX_REMEMBERED_ADDRESSES = 100_000;
const MAX_QUOTED = 60;

/** Turns raw fields into flows; addresses are read once while they repeat. */
export class FlowChecker {
  readonly #canonical = new Map<string, string | null>();

  check(raw: RawFlow): RecordedFlow | NotAFlow {
    const sourceAddress = this.#address(raw.sourceAddress);
    const destinationAddress = this.#address(raw.destinationAddress);
    if (sourceAddress === null) return notAnAddress("sourceAddress", raw.sourceAddress);
    if (destinationAddress === null) return notAnAddress("destinationAddress", raw.destinationAddress);
    const protocol = raw.protocol ?? 0;
    const port = raw.destinationPort ?? 0;
    if (!isCount(protocol, 0xff)) return new NotAFlow(`protocol ${protocol} is not an IP protocol number`);
    if (!isCount(port, 0xffff)) return new NotAFlow(`destinationPort ${port} is not a port`);
    const kind = KINDS.get(raw.kind);
    const direction = DIRECTIONS.get(raw.direction);
    const verdict = VERDICTS.get(raw.verdict);
    const enforced = VERDICTS.get(raw.enforced);
    if (kind === undefined) return unknownName("kind", raw.kind);
    if (direction === undefined) return unknownName("direction", raw.direction);
    if (verdict === undefined) return unknownName("verdict", raw.verdict);
    if (enforced === undefined) return unknownName("enforced", raw.enforced);
    return {
      timeMs: raw.timeMs,
      kind: kind ?? (enforced === "deny" || verdict === "deny" ? "deny" : "start"),
      direction,
      protocol,
      sourceAddress,
      destinationAddress,
      port,
      verdict: verdict ?? enforced,
      enforced: enforced ?? verdict,
      subjectKey: raw.subjectKey ?? "",
      host: raw.host ?? "",
    };
  }

  #address(text: string | undefined): string | null {
    if (text === undefined) return null;
    let canonical = this.#canonical.get(text);
    if (canonical === undefined) {
      if (this.#canonical.size >= MAX_REMEMBERED_ADDRESSES) this.#canonical.clear();
      canonical = canonicalAddress(text);
      this.#canonical.set(text, canonical);
    }
    return canonical;
  }
}

/** The fields that count of any JSON value. Unknown fields are passed over: a newer agent may send more. */
export function rawFlow(value: unknown): RawFlow | NotAFlow {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return new NotAFlow("it is not a JSON object");
  }
  const fields = value as Readonly<Record<string, unknown>>;
  const problems: string[] = [];
  const text = (name: string) => read(fields, name, problems, "a text", isText);
  const number = (name: string) => read(fields, name, problems, "a number", isNumber);
  const name = (field: string) => read(fields, field, problems, "a name", isName);
  const time = text("time");
  const raw: RawFlow = {
    timeMs: time === undefined ? null : Date.parse(time),
    kind: name("kind"),
    direction: name("direction"),
    protocol: number("protocol"),
    sourceAddress: text("sourceAddress"),
    destinationAddress: text("destinationAddress"),
    destinationPort: number("destinationPort"),
    verdict: name("verdict"),
    enforced: name("enforced"),
    subjectKey: text("subjectKey"),
    host: text("host"),
  };
  if (time !== undefined && !(RFC3339.test(time) && Number.isFinite(raw.timeMs))) {
    problems.push(`time "${quote(time)}" is not an RFC 3339 time`);
  }
  const [problem] = problems;
  return problem === undefined ? raw : new NotAFlow(problem);
}

const RFC3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/;

function read<Value>(
  fields: Readonly<Record<string, unknown>>,
  name: string,
  problems: string[],
  what: string,
  is: (value: unknown) => value is Value,
): Value | undefined {
  const value = Object.hasOwn(fields, name) ? fields[name] : undefined;
  if (value === undefined || value === null || is(value)) return value ?? undefined;
  problems.push(`${name} is not ${what}`);
  return undefined;
}

const isText = (value: unknown): value is string => typeof value === "string";
const isNumber = (value: unknown): value is number => typeof value === "number";
const isName = (value: unknown): value is string | number => isText(value) || isNumber(value);

function isCount(value: number, max: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= max;
}

function notAnAddress(field: string, text: string | undefined): NotAFlow {
  return new NotAFlow(text === undefined ? `${field} is missing` : `${field} "${quote(text)}" is not an IP address`);
}

function unknownName(field: string, value: string | number | undefined): NotAFlow {
  return new NotAFlow(`${field} "${quote(String(value))}" is unknown`);
}

function quote(text: string): string {
  return text.length > MAX_QUOTED ? `${text.slice(0, MAX_QUOTED)}…` : text;
}
