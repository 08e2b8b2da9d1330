/** Records and queries for tests: by hand and by chance. */
import fc from "fast-check";
import { combine, negate } from "../language/normal.ts";
import type { FlowQuery, QueryField, QueryNode } from "../query.ts";
import type { FlowRecord } from "../record.ts";

export const WINDOW_START_MS = Date.UTC(2026, 10, 21, 12, 0, 0);

/** `web-1` connects to 192.0.2.20:5432 with psql. */
export function sampleRecord(changes: Partial<FlowRecord> = {}): FlowRecord {
  return {
    host: "web-1",
    windowStartMs: WINDOW_START_MS,
    windowMs: 10_000,
    firstSeenMs: WINDOW_START_MS + 1_000,
    lastSeenMs: WINDOW_START_MS + 6_000,
    direction: "egress",
    protocol: 6,
    sourceAddress: "192.0.2.10",
    destinationAddress: "192.0.2.20",
    destinationPort: 5432,
    sourceName: "web-1",
    destinationName: "db-1",
    observedName: "",
    verdict: "allow",
    enforced: "allow",
    policyKeys: ["NetworkPolicy/default/web"],
    decisionSummary: "allowed by rule 1",
    subjectKey: "Host/web-1",
    cgroupPath: "/system.slice/app.service",
    process: { pid: 4711, userId: 33, userName: "www-data", command: "psql", executable: "/usr/bin/psql" },
    started: 3,
    ended: 2,
    deniedPackets: 0,
    packets: 40,
    originatorBytes: 1_000,
    responderBytes: 9_000,
    foldedFlows: 0,
    ...changes,
  };
}

const address = fc.constantFrom("192.0.2.10", "10.1.2.3", "203.0.113.9", "2001:db8::1", "fe80::2");
const prefix = fc.constantFrom("192.0.2.0/24", "10.0.0.0/8", "0.0.0.0/0", "2001:db8::/32");
const word = fc.oneof(
  fc.constantFrom("web-1", "Web-1", "db-1", "curl", "/usr/bin/curl", "nginx: worker", "default/web", "root", "0"),
  fc.constantFrom(
    "web-*",
    "*",
    "*.example.com",
    "a b",
    'say "hi"',
    "back\\slash",
    "(x)",
    "-a",
    "OR",
    "port:443",
    "ü,ö",
    "x:",
  ),
  fc.string({ minLength: 1, maxLength: 12 }).filter((text) => text.trim() !== ""),
);
const port = fc.nat(65_535).map(String);
const portRange = fc
  .tuple(fc.nat(65_535), fc.nat(65_535))
  .filter(([first, last]) => first < last)
  .map(([first, last]) => `${first}-${last}`);

const VALUES: Record<QueryField, fc.Arbitrary<string>> = {
  host: word,
  label: fc.constantFrom("app=web", "app", "example.com/tier=db", "app="),
  address: fc.oneof(address, prefix),
  src: fc.oneof(address, prefix),
  dst: fc.oneof(address, prefix),
  peer: fc.oneof(address, prefix),
  name: word,
  port: fc.oneof(port, portRange),
  protocol: fc.nat(255).map(String),
  process: word,
  user: word,
  verdict: fc.constantFrom("allow", "deny"),
  enforced: fc.constantFrom("allow", "deny"),
  policy: word,
  rule: word,
  direction: fc.constantFrom("ingress", "egress"),
  subject: word,
  cgroup: word.map((text) => (text.length > 1 ? text.replace(/\/+$/, "") || "/" : text)),
  text: word,
};

const field = fc
  .constantFrom(...(Object.keys(VALUES) as QueryField[]))
  .chain((name) =>
    fc
      .uniqueArray(VALUES[name], { minLength: 1, maxLength: 3 })
      .map((values): QueryNode => ({ kind: "field", field: name, values })),
  );
const measure = fc.record({
  kind: fc.constant("measure" as const),
  measure: fc.constantFrom("bytes", "sent", "received", "packets", "connections", "denied", "duration"),
  comparison: fc.constantFrom("<", "<=", ">", ">=", "="),
  value: fc.oneof(fc.nat(), fc.constantFrom(0, 1000, 1_500_000, 2 ** 40, 90_000, 3_600_000)),
}) as fc.Arbitrary<QueryNode>;

/** In the form that the parser gives. */
export const queryNode: fc.Arbitrary<QueryNode> = fc.letrec<{ node: QueryNode; leaf: QueryNode }>((tie) => ({
  leaf: fc.oneof({ weight: 4, arbitrary: field }, measure),
  node: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    tie("leaf"),
    tie("node").map(negate),
    fc
      .tuple(fc.constantFrom("and" as const, "or" as const), fc.array(tie("node"), { minLength: 1, maxLength: 3 }))
      .map(([kind, parts]) => combine(kind, parts) as QueryNode),
  ),
})).node;

const moment = fc.oneof(fc.constant(null), fc.integer({ min: 0, max: Date.UTC(9999, 0, 1) }));

export const flowQuery: fc.Arbitrary<FlowQuery> = fc
  .record({ where: fc.oneof(queryNode, fc.constant<QueryNode>({ kind: "all" })), sinceMs: moment, untilMs: moment })
  .map(({ where, sinceMs, untilMs }) => {
    const [first, last] =
      sinceMs !== null && untilMs !== null && sinceMs > untilMs ? [untilMs, sinceMs] : [sinceMs, untilMs];
    return { where, sinceMs: first, untilMs: first === last ? null : last };
  });

export const flowRecord: fc.Arbitrary<FlowRecord> = fc
  .record({
    host: fc.constantFrom("web-1", "WEB-1", "db-1"),
    windowStartMs: fc.integer({ min: 0, max: 100 }).map((window) => WINDOW_START_MS + window * 10_000),
    direction: fc.constantFrom("ingress" as const, "egress" as const),
    protocol: fc.constantFrom(6, 17, 1, 58),
    sourceAddress: address,
    destinationAddress: address,
    destinationPort: fc.nat(65_535),
    sourceName: fc.constantFrom("", "web-1", "Web-1.example.com"),
    destinationName: fc.constantFrom("", "db-1"),
    observedName: fc.constantFrom("", "api.example.com"),
    verdict: fc.constantFrom("allow" as const, "deny" as const),
    enforced: fc.constantFrom("allow" as const, "deny" as const),
    policyKeys: fc.constantFrom([], ["NetworkPolicy/default/web"], ["Policy/ops/x", "Policy/ops/y"]),
    subjectKey: fc.constantFrom("Host/web-1", "Workload/default/nginx"),
    cgroupPath: fc.constantFrom("", "/system.slice/nginx.service"),
    started: fc.nat(10),
    deniedPackets: fc.nat(10),
    packets: fc.nat(1000),
    originatorBytes: fc.nat(),
    responderBytes: fc.nat(),
  })
  .map((changes) =>
    sampleRecord({ ...changes, firstSeenMs: changes.windowStartMs, lastSeenMs: changes.windowStartMs + 5_000 }),
  );
