/** A flow query as SQL over `series` (s) and `records` (r). Means what `matchesQuery` means; the contract holds it to that. */
import type { FlowQuery, QueryField, QueryMeasure, QueryNode } from "@wardline/domain/flows";
import { foldCase } from "@wardline/domain/flows/reference";
import type { LabelResolver } from "../flow-history.ts";
import { addressRange } from "../sqlite/address-range.ts";

const WIRE = { allow: 1, deny: 2, ingress: 1, egress: 2 } as const;
const HAS_PORTS = "s.protocol NOT IN (1, 58)";
const NAMES = ["s.source_name", "s.destination_name", "s.observed_name"] as const;
const ALL_TEXTS = [
  ...["s.host", "s.source", "s.destination", ...NAMES, "s.subject", "s.cgroup"],
  ...["s.command", "s.executable", "s.user_name", "s.summary"],
] as const;
const IS_KNOWN_PROCESS = "(r.pid > 0 OR s.command <> '' OR s.executable <> '' OR s.user_name <> '')";
/** Without what the kernel appends to the path of a program whose file was replaced. */
const PROGRAM = "regexp_replace(s.executable, ' \\(deleted\\)$', '')";
const MAPPED_LOW = Buffer.from("00000000000000000000ffff00000000", "hex");
const MAPPED_HIGH = Buffer.from("00000000000000000000ffffffffffff", "hex");

const MEASURES: Record<QueryMeasure, string> = {
  bytes: "(r.out_bytes + r.in_bytes)",
  // The originator sends away what a host sees as egress.
  sent: "(CASE s.direction WHEN 2 THEN r.out_bytes ELSE r.in_bytes END)",
  received: "(CASE s.direction WHEN 1 THEN r.out_bytes ELSE r.in_bytes END)",
  packets: "r.packets",
  connections: "r.started",
  denied: "r.denied",
  duration: "(r.last_ms - r.first_ms)",
};

/** Values of one statement, and the text that stands for each of them. */
export class StatementValues {
  readonly values: unknown[] = [];

  add(value: unknown, type: string): string {
    this.values.push(value);
    return `$${this.values.length}::${type}`;
  }
}

/** A record is in a window that its own window shares a moment with. */
export function windowCondition({ sinceMs, untilMs }: FlowQuery, parameters: StatementValues): string {
  const parts = [
    ...(sinceMs === null ? [] : [`r.start_ms + r.length_ms > ${parameters.add(sinceMs, "bigint")}`]),
    ...(untilMs === null ? [] : [`r.start_ms < ${parameters.add(untilMs, "bigint")}`]),
  ];
  return parts.length === 0 ? "true" : parts.join(" AND ");
}

export function nodeCondition(node: QueryNode, parameters: StatementValues, labels: LabelResolver): string {
  const conditions = new Conditions(parameters, labels);
  return conditions.of(node);
}

class Conditions {
  readonly #parameters: StatementValues;
  readonly #labels: LabelResolver;

  constructor(parameters: StatementValues, labels: LabelResolver) {
    this.#parameters = parameters;
    this.#labels = labels;
  }

  of(node: QueryNode): string {
    switch (node.kind) {
      case "all":
        return "true";
      case "and":
        return joined(
          node.parts.map((part) => this.of(part)),
          "AND",
        );
      case "or":
        return joined(
          node.parts.map((part) => this.of(part)),
          "OR",
        );
      case "not":
        return `NOT (${this.of(node.part)})`;
      case "field":
        return joined(
          node.values.map((value) => this.#field(node.field, value)),
          "OR",
        );
      case "measure": {
        const value = this.#parameters.add(node.value, "numeric");
        return `${MEASURES[node.measure]} ${node.comparison} ${value}`;
      }
    }
  }

  #field(field: QueryField, value: string): string {
    switch (field) {
      case "host":
        return this.#folded("s.host", value);
      case "name":
        return joined(
          NAMES.map((name) => this.#folded(name, value)),
          "OR",
        );
      case "label":
        return this.#label(value);
      case "address":
        return `(${this.#within("s.source", value)} OR ${this.#within("s.destination", value)})`;
      case "src":
        return this.#within("s.source", value);
      case "dst":
        return this.#within("s.destination", value);
      case "peer":
        return `CASE s.direction WHEN 1 THEN ${this.#within("s.source", value)} ELSE ${this.#within("s.destination", value)} END`;
      case "port": {
        const [first = "", last = first] = value.split("-");
        return `(${HAS_PORTS} AND s.port BETWEEN ${this.#integer(first)} AND ${this.#integer(last)})`;
      }
      case "protocol":
        return `s.protocol = ${this.#integer(value)}`;
      case "process":
        return this.#process(value);
      case "user": {
        const named = this.#folded("s.user_name", value);
        if (!isCount(value)) return named;
        return `(${named} OR (${IS_KNOWN_PROCESS} AND s.user_id = ${this.#integer(value)}))`;
      }
      case "verdict":
      case "enforced":
        return `s.${field} = ${WIRE[value as "allow" | "deny"] ?? 0}`;
      case "direction":
        return `s.direction = ${WIRE[value as "ingress" | "egress"] ?? 0}`;
      case "policy":
        return `EXISTS (SELECT 1 FROM unnest(s.policy_keys) AS k (key) WHERE ${this.#key("k.key", value)})`;
      case "rule":
        return this.#pattern("s.summary", value);
      case "subject":
        return this.#key("s.subject", value);
      case "cgroup":
        return `(${this.#pattern("s.cgroup", value)} OR ${this.#pattern("s.cgroup", `${value}/*`)})`;
      case "text":
        return this.#text(value);
    }
  }

  #process(value: string): string {
    if (value.includes("/")) return this.#pattern(PROGRAM, value);
    const parts = [
      this.#pattern("s.command", value),
      this.#pattern(`regexp_replace(${PROGRAM}, '^.*/', '')`, value),
      ...(isCount(value) && value !== "0" ? [`r.pid = ${this.#integer(value)}`] : []),
    ];
    return joined(parts, "OR");
  }

  #label(label: string): string {
    const { subjectKeys, addresses } = this.#labels(label);
    const keys = this.#parameters.add([...subjectKeys], "text[]");
    const ends = this.#parameters.add([...addresses], "text[]");
    return `(s.subject = ANY(${keys}) OR s.source = ANY(${ends}) OR s.destination = ANY(${ends}))`;
  }

  #text(value: string): string {
    const pattern = `*${value}*`;
    const parts = [
      ...ALL_TEXTS.map((column) => this.#folded(column, pattern)),
      `(${HAS_PORTS} AND ${this.#folded("s.port::text", pattern)})`,
      `EXISTS (SELECT 1 FROM unnest(s.policy_keys) AS k (key) WHERE ${this.#folded("k.key", pattern)})`,
    ];
    return joined(parts, "OR");
  }

  #key(expression: string, value: string): string {
    return `(${this.#pattern(expression, value)} OR ${this.#pattern(expression, `*/${value}`)})`;
  }

  #folded(expression: string, pattern: string): string {
    // In this collation only letters of ASCII have two cases, as in the reference.
    return this.#pattern(`lower(${expression} COLLATE "C")`, foldCase(pattern));
  }

  /** `*` stands for any part; an empty text matches nothing. */
  #pattern(expression: string, pattern: string): string {
    const isPlain = !pattern.includes("*");
    const value = this.#parameters.add(isPlain ? pattern : likePattern(pattern), "text");
    return `(${expression} <> '' AND ${expression} ${isPlain ? "=" : "LIKE"} ${value})`;
  }

  #within(column: string, value: string): string {
    const range = addressRange(value);
    if (!range) return "false";
    const { low, high, isIpv4, isPrefix } = range;
    if (!isPrefix) return `${column} = ${this.#parameters.add(value, "text")}`;
    const within = `${column}_key BETWEEN ${this.#bytes(low)} AND ${this.#bytes(high)}`;
    if (isIpv4) return `(${within})`;
    // IPv4 is kept in its mapped form, which no IPv6 network means. What is no address has an empty key.
    return `(${within} AND ${column}_key NOT BETWEEN ${this.#bytes(MAPPED_LOW)} AND ${this.#bytes(MAPPED_HIGH)})`;
  }

  #bytes(value: Uint8Array): string {
    return this.#parameters.add(Buffer.from(value), "bytea");
  }

  #integer(value: string): string {
    const number = Number(value);
    return this.#parameters.add(Number.isSafeInteger(number) ? number : -1, "bigint");
  }
}

function isCount(value: string): boolean {
  return /^\d{1,10}$/.test(value) && String(Number(value)) === value;
}

function likePattern(pattern: string): string {
  return pattern.replace(/[\\%_]/g, "\\$&").replaceAll("*", "%");
}

function joined(conditions: readonly string[], word: "AND" | "OR"): string {
  return conditions.length === 0 ? (word === "AND" ? "true" : "false") : `(${conditions.join(` ${word} `)})`;
}
