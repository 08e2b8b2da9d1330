/** Questions about the records of `random-records.ts`: every field and measure, alone and put together. */
import type { QueryField, QueryMeasure, QueryNode } from "@wardline/domain/flows";
import { pick, type Random } from "./random-records.ts";

/** Values that match something, and some that match nothing. */
export const VALUES: Record<QueryField, readonly string[]> = {
  host: ["alpha", "ALPHA", "b*", "nobody"],
  label: ["app=web", "app=none"],
  address: ["10.0.0.0/8", "10.0.0.1", "::/0", "0.0.0.0/0", "192.0.2.1"],
  src: ["10.0.0.2", "fd00::/16"],
  dst: ["203.0.113.0/24", "2001:db8::5"],
  peer: ["10.1.0.0/16", "fd00::7"],
  name: ["web-*", "DB.internal", "*example*", "default/api", "none"],
  port: ["443", "1-100", "5000-9000", "2048"],
  protocol: ["6", "17", "1", "132"],
  process: ["curl", "nginx", "/opt/app/*", "work*", "3", "/opt/app/bin/worker", "none"],
  user: ["root", "WWW-data", "1000", "0", "33"],
  verdict: ["allow", "deny"],
  enforced: ["allow", "deny"],
  policy: ["web", "default/db", "*cluster*", "none"],
  rule: ["allowed by a rule", "*isolated", "*rule*", "none"],
  direction: ["ingress", "egress"],
  subject: ["nginx", "host/*", "workload/default/nginx"],
  cgroup: ["/system.slice", "/user.slice", "/system*"],
  text: ["example", "isolated", "10.0", "443", "NGINX", "zzz", "ex*ple", "_", "%", "fd*:", "4*3", "É"],
};

const MEASURES: readonly QueryMeasure[] = ["bytes", "sent", "received", "packets", "connections", "denied", "duration"];
const COMPARISONS = ["<", "<=", ">", ">=", "="] as const;
const FIELDS = Object.keys(VALUES) as QueryField[];

export const LABELS = (label: string) =>
  label === "app=web"
    ? { subjectKeys: ["host/web-1"], addresses: ["10.0.0.2", "2001:db8::5"] }
    : { subjectKeys: [], addresses: [] };

/** Each field and measure by itself. */
export function everyCondition(): QueryNode[] {
  return [
    { kind: "all" },
    ...FIELDS.flatMap((field) => VALUES[field].map((value): QueryNode => ({ kind: "field", field, values: [value] }))),
    ...MEASURES.flatMap((measure) =>
      COMPARISONS.map(
        (comparison): QueryNode => ({ kind: "measure", measure, comparison, value: measure === "bytes" ? 1e6 : 3 }),
      ),
    ),
  ];
}

export function randomNode(random: Random, depth = 3): QueryNode {
  const kind =
    depth === 0 ? pick(random, ["field", "measure"]) : pick(random, ["field", "field", "measure", "and", "or", "not"]);
  switch (kind) {
    case "and":
    case "or": {
      const parts = Array.from({ length: 1 + Math.floor(random() * 3) }, () => randomNode(random, depth - 1));
      return { kind, parts };
    }
    case "not":
      return { kind, part: randomNode(random, depth - 1) };
    case "measure": {
      const value = Math.floor(random() ** 3 * 1e6);
      return { kind, measure: pick(random, MEASURES), comparison: pick(random, COMPARISONS), value };
    }
    default: {
      const field = pick(random, FIELDS);
      const values = Array.from({ length: 1 + Math.floor(random() * 2) }, () => pick(random, VALUES[field]));
      return { kind: "field", field, values };
    }
  }
}
