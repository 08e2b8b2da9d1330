import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { matchesQuery, NO_LABELS } from "../match.ts";
import { EVERYTHING, type FlowQuery, type QueryField, type QueryNode } from "../query.ts";
import { flowQuery, sampleRecord, WINDOW_START_MS } from "../testing/samples.ts";
import { completeFlowQuery, NOTHING_KNOWN } from "./complete.ts";
import { FLOW_QUERY_DIAGNOSTICS } from "./diagnostics.ts";
import { FIELDS } from "./fields.ts";
import { formatFlowQuery } from "./format.ts";
import { parseFlowQuery } from "./parse.ts";

const NOW_MS = Date.UTC(2026, 10, 21, 12, 0, 0);
const read = (text: string) => parseFlowQuery(text, { nowMs: NOW_MS });

function whereOf(text: string): QueryNode {
  const { query, diagnostics } = read(text);
  if (!query) throw new Error(`${text}: ${diagnostics[0]?.message}`);
  return query.where;
}
const field = (name: QueryField, ...values: string[]): QueryNode => ({ kind: "field", field: name, values });
const not = (part: QueryNode): QueryNode => ({ kind: "not", part });
const and = (...parts: QueryNode[]): QueryNode => ({ kind: "and", parts });
const or = (...parts: QueryNode[]): QueryNode => ({ kind: "or", parts });

describe("parseFlowQuery", () => {
  it.each<[string, QueryNode]>([
    ["", { kind: "all" }],
    ["  \n ", { kind: "all" }],
    ["nginx", field("text", "nginx")],
    ['"port:443 OR"', field("text", "port:443 OR")],
    ['"say \\"hi\\" \\\\"', field("text", 'say "hi" \\')],
    ["port:80,443", field("port", "80", "443")],
    ["port:80, 443 port:80", and(field("port", "80", "443"), field("port", "80"))],
    ["port:1000-2000", field("port", "1000-2000")],
    ["port>1023", field("port", "1024-65535")],
    ["port:<=80", field("port", "0-80")],
    ["port!=53", not(field("port", "53"))],
    [":443", field("port", "443")],
    ["!:53", not(field("port", "53"))],
    ["-port:53", not(field("port", "53"))],
    ["NOT NOT port:53", field("port", "53")],
    ["10.0.0.5", field("address", "10.0.0.5")],
    ["10.0.0.5,10.0.0.6", field("address", "10.0.0.5", "10.0.0.6")],
    ["10.1.2.3/8", field("address", "10.0.0.0/8")],
    ["!2001:db8::/32", not(field("address", "2001:db8::/32"))],
    ["fe80::1", field("address", "fe80::1")],
    ["dead:beef::1", field("address", "dead:beef::1")],
    ["::ffff:10.0.0.1", field("address", "10.0.0.1")],
    ["10.0.0.5:443", and(field("address", "10.0.0.5"), field("port", "443"))],
    ["[2001:db8::1]:443", and(field("address", "2001:db8::1"), field("port", "443"))],
    ["-dst:10.0.0.0/8", not(field("dst", "10.0.0.0/8"))],
    ["address:192.0.2.1/32", field("address", "192.0.2.1")],
    ["protocol:tcp,17", field("protocol", "6", "17")],
    ["verdict:Denied direction:out", and(field("verdict", "deny"), field("direction", "egress"))],
    ["process:/usr/bin/curl", field("process", "/usr/bin/curl")],
    ["process:nginx: worker", field("process", "nginx: worker")],
    ["user: root", field("user", "root")],
    ["!user:www-data", not(field("user", "www-data"))],
    ["policy:NetworkPolicy/default/web", field("policy", "NetworkPolicy/default/web")],
    ["label:app=web,tier", field("label", "app=web", "tier")],
    ["label:app=*", field("label", "app")],
    ["a b OR c", or(and(field("text", "a"), field("text", "b")), field("text", "c"))],
    ["a (b OR c) AND d", and(field("text", "a"), or(field("text", "b"), field("text", "c")), field("text", "d"))],
    ["-(a b)", not(and(field("text", "a"), field("text", "b")))],
    ["(((a)))", field("text", "a")],
    ["bytes>1M", { kind: "measure", measure: "bytes", comparison: ">", value: 1_000_000 }],
    ["sent>=100KiB", { kind: "measure", measure: "sent", comparison: ">=", value: 102_400 }],
    ["bytes:>1.5k", { kind: "measure", measure: "bytes", comparison: ">", value: 1_500 }],
    ["connections=0", { kind: "measure", measure: "connections", comparison: "=", value: 0 }],
    ["duration>1m30s", { kind: "measure", measure: "duration", comparison: ">", value: 90_000 }],
    ["HOST:web-*", field("host", "web-*")],
    ["12:30", field("text", "12:30")],
  ])("%j", (text, where) => {
    expect(whereOf(text)).toEqual(where);
  });

  it.each<[string, Partial<FlowQuery>]>([
    ["since:-2h", { sinceMs: NOW_MS - 7_200_000 }],
    ["since:1h30m", { sinceMs: NOW_MS - 5_400_000 }],
    ["since:2026-11-20T10:00", { sinceMs: Date.UTC(2026, 10, 20, 10) }],
    ["since:2026-11-20T10:00:30.5+02:00", { sinceMs: Date.UTC(2026, 10, 20, 8, 0, 30, 500) }],
    ["since:yesterday until:today", { sinceMs: Date.UTC(2026, 10, 20), untilMs: Date.UTC(2026, 10, 21) }],
    [
      "since:-1h port:80 OR port:443",
      { sinceMs: NOW_MS - 3_600_000, where: or(field("port", "80"), field("port", "443")) },
    ],
  ])("%j is a window", (text, window) => {
    expect(read(text)).toEqual({ query: { ...EVERYTHING, ...window }, diagnostics: [] });
  });

  it.each<[string, string, string, string]>([
    ["prot:443", "WL602", "1:1-1:5", 'There is no field "prot". Did you mean port?'],
    ["app=web", "WL602", "1:1-1:4", 'There is no field "app". A label is written label:app=…'],
    ["https://x", "WL602", "1:1-1:10", 'There is no field "https". To look for it as text, put it in quotes.'],
    ["port:", "WL603", "1:6-1:6", "port has no value. For example: port:80,443,8000-8999"],
    ["port:80,", "WL603", "1:9-1:9", "port has no value. For example: port:80,443,8000-8999"],
    ['host:""', "WL603", "1:6-1:8", "host has no value. For example: host:web-*"],
    ['a ""', "WL603", "1:3-1:5", "There is nothing between the quotes."],
    ["port:99999", "WL604", "1:6-1:11", "Ports go up to 65535."],
    [
      "port:https",
      "WL604",
      "1:6-1:11",
      '"https" is not a port. Ports are numbers from 0 to 65535 or ranges: 443, 8000-8999. Did you mean 443?',
    ],
    ["port:443-80", "WL604", "1:6-1:12", "The range 443-80 ends before it begins. Did you mean 80-443?"],
    ["address:10.0.0.300", "WL604", "1:9-1:19", '"10.0.0.300" is not an IPv4 or IPv6 address.'],
    [
      "10.0.0.0/33",
      "WL604",
      "1:1-1:12",
      '"10.0.0.0/33" needs a prefix length between 0 and 32. To look for it as text, put it in quotes.',
    ],
    [
      "protocol:tpc",
      "WL604",
      "1:10-1:13",
      '"tpc" is not a protocol. Write icmp, igmp, tcp, udp, … or a number up to 255. Did you mean tcp?',
    ],
    ["verdict:denyd", "WL604", "1:9-1:14", '"denyd" is not allow or deny. Did you mean deny?'],
    [
      "bytes>lots",
      "WL604",
      "1:7-1:11",
      '"lots" is not a number that bytes can be compared with: 1500, 100k, 1.5M, 4GiB.',
    ],
    [
      "since:2026-02-31",
      "WL604",
      "1:7-1:17",
      '"2026-02-31" is not a moment. Write -2h, 2026-11-20, 2026-11-20T10:00 (UTC), today or yesterday.',
    ],
    ...["0099-01-01", "2026-11-20T10:00+24:00", "2026-11-20T10:00+01:60"].map(
      (moment): [string, string, string, string] => [
        `since:${moment}`,
        "WL604",
        `1:7-1:${7 + moment.length}`,
        `"${moment}" is not a moment. Write -2h, 2026-11-20, 2026-11-20T10:00 (UTC), today or yesterday.`,
      ],
    ),
    ["label:app!=web", "WL604", "1:7-1:15", "A label that a record must not have is written -label:app=web."],
    ["host>web", "WL605", "1:5-1:6", "host does not have an order."],
    ["since>-2h", "WL605", "1:6-1:7", "since takes a moment: since:-2h"],
    ['"open', "WL606", "1:1-1:2", "This quote is not closed."],
    ["(a b", "WL606", "1:1-1:2", "This parenthesis is not closed."],
    ["a) b", "WL606", "1:2-1:3", "This parenthesis closes nothing."],
    ["a OR", "WL607", "1:3-1:5", "OR needs a condition on both sides"],
    ["AND a", "WL607", "1:1-1:4", "AND needs a condition on both sides"],
    ["a - b", "WL607", "1:3-1:4", "- stands directly before what it excludes"],
    ["()", "WL607", "1:1-1:3", "There is nothing between the parentheses."],
    ["-since:-2h", "WL608", "1:2-1:11", "since counts for the whole query"],
    ["(since:-2h a)", "WL608", "1:2-1:11", "since counts for the whole query"],
    ["since:-2h since:-1h", "WL609", "1:11-1:20", "since is there twice."],
    ["since:today until:yesterday", "WL609", "1:13-1:28", "The window of time ends before it begins."],
    [`a ${"x".repeat(2_000)}`, "WL601", "1:2001-1:2003", "A query has at most 2,000 characters; this one has 2,002."],
    [`${"(".repeat(21)}a${")".repeat(21)}`, "WL601", "1:21-1:22", "Parentheses go 20 deep."],
    [
      `port:${Array.from({ length: 201 }, (_, index) => index).join(",")}`,
      "WL601",
      "1:1-1:699",
      "A query has at most 200 values.",
    ],
  ])("%j is refused", (text, code, place, message) => {
    const { query, diagnostics } = read(text);
    const [first] = diagnostics.filter(({ severity }) => severity === "error");
    const { line = 0, column = 0, endLine = 0, endColumn = 0, file = "?" } = first?.source ?? {};
    expect(query).toBeNull();
    expect([first?.code, `${line}:${column}-${endLine}:${endColumn}`, file]).toEqual([code, place, ""]);
    expect(first?.message).toContain(message);
  });

  it.each([
    ["port:80 port:443", "WL610", "No record is port:80 and port:443 at once. For either write port:80,443"],
    ["a or b", "WL611", "or is looked for as text. Did you mean OR?"],
    ["port 443", "WL611", "port is looked for as text. Did you mean port:443?"],
    ["denied", "WL611", "denied is looked for as text. Did you mean verdict:deny?"],
    ["udp", "WL611", "udp is looked for as text. Did you mean protocol:udp?"],
  ])("%j is read, with a notice", (text, code, message) => {
    const { query, diagnostics } = read(text);
    expect(query).not.toBeNull();
    expect(diagnostics.map((each) => [each.code, each.message])).toEqual([[code, message]]);
  });

  it("a fix makes the query readable", () => {
    for (const text of [
      "prot:443",
      "https://x",
      "app=web",
      "port:443-80",
      "verdict:denyd",
      "a) b",
      "since:-2h since:-1h",
      "host>web",
    ]) {
      const edit = read(text).diagnostics[0]?.fix?.edits[0];
      if (!edit) throw new Error(`${text} has no fix`);
      const { column, endColumn } = edit.range;
      const fixed = text.slice(0, column - 1) + edit.newText + text.slice(endColumn - 1);
      expect([fixed, read(fixed).diagnostics]).toEqual([fixed, []]);
    }
  });

  it("reads every example of the fields", () => {
    for (const { example } of FIELDS) expect([example, read(example).diagnostics]).toEqual([example, []]);
  });

  it("never throws, tells the same twice and stays bounded, whatever the text", () => {
    const pieces = fc.constantFrom(
      ...'()"\\:,-!<>=* \t\n\0\u2028😀',
      ...[
        "port",
        "since:",
        "AND",
        "OR",
        "NOT",
        "&&",
        "10.0.0.0/8",
        "::",
        "label:",
        "-2h",
        "bytes>",
        "__proto__:",
        "\uD800",
      ],
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.array(pieces, { maxLength: 60 }).map((all) => all.join("")),
          fc.string({ maxLength: 2_500 }),
        ),
        (text) => {
          const { query, diagnostics } = read(text);
          expect(diagnostics.length).toBeLessThanOrEqual(50);
          for (const { code, source } of diagnostics) {
            expect(code in FLOW_QUERY_DIAGNOSTICS).toBe(true);
            expect(source.column >= 1 && source.endColumn >= source.column && source.endColumn <= text.length + 1).toBe(
              true,
            );
          }
          expect(query === null).toBe(diagnostics.some(({ severity }) => severity === "error"));
          if (query) {
            const canonical = formatFlowQuery(query);
            if (canonical.length <= 2_000) expect(read(canonical).query).toEqual(query);
          }
          completeFlowQuery(text, Math.floor(text.length / 2), NOTHING_KNOWN);
        },
      ),
      { numRuns: 1_500 },
    );
  });

  it("takes a text of the greatest length and depth in no time", () => {
    const started = process.cpuUsage();
    for (const text of [
      "(".repeat(2_000),
      "-".repeat(2_000),
      "a OR ".repeat(400),
      `text:${"*".repeat(1_990)}`,
      "port:1,".repeat(280),
    ]) {
      const { query } = read(text);
      if (query) matchesQuery(query, sampleRecord({ observedName: "a".repeat(255) }), NO_LABELS);
    }
    const { user, system } = process.cpuUsage(started);
    expect((user + system) / 1000).toBeLessThan(500);
  });
});

describe("formatFlowQuery", () => {
  it("is read as the same query, whatever the query", () => {
    fc.assert(
      fc.property(flowQuery, (query) => {
        const text = formatFlowQuery(query);
        if (text.length > 2_000) return;
        expect(read(text).query).toEqual(query);
      }),
      { numRuns: 1_000 },
    );
  });
  it.each([
    [":443 10.1.2.3/8 !user:root", "port:443 address:10.0.0.0/8 -user:root"],
    ["a OR b c since:-2h", "(text:a OR text:b text:c) since:2026-11-21T10:00Z"],
    ["protocol:6 direction:ingress bytes>=2048000 duration>90s", "protocol:tcp direction:in bytes>=2048k duration>90s"],
    ["-(a OR b)", "-(text:a OR text:b)"],
  ])("%j", (text, canonical) => {
    const { query } = read(text);
    expect(query && formatFlowQuery(query)).toBe(canonical);
  });
});

describe("completeFlowQuery", () => {
  const known = {
    ...NOTHING_KNOWN,
    hosts: ["web-1", "db-1"],
    processes: ["nginx: worker", "curl"],
    policies: ["NetworkPolicy/default/web"],
    labels: ["app=web", "app=db"],
  };
  const texts = (text: string, cursor = text.length) => completeFlowQuery(text, cursor, known).map((each) => each.text);
  it.each<[string, string[]]>([
    ["host:", ["web-1", "db-1"]],
    ["host:d", ["db-1"]],
    ["-host:web-1,d", ["db-1"]],
    ["label:app=", ["app=web", "app=db"]],
    ["process:ng", ['"nginx: worker"']],
    ["direction:o", ["out"]],
    ["policy:web", ["NetworkPolicy/default/web"]],
    ["verd", ["verdict:"]],
    ["web", ["host:web-1", "policy:NetworkPolicy/default/web"]],
    ["nosuch:", []],
    ['"verd', []],
  ])("%j", (text, expected) => {
    expect(texts(text)).toEqual(expected);
  });
  it("says what is replaced", () => {
    expect(completeFlowQuery("a host:we b", 9, known)).toEqual([{ start: 7, end: 9, text: "web-1", detail: "host" }]);
    expect(completeFlowQuery("a ver:deny", 5, known)[0]).toMatchObject({ start: 2, end: 6, text: "verdict:" });
  });
  it("offers every field where a term can begin, and nothing outside of the text", () => {
    expect(texts("").length).toBe(FIELDS.length);
    expect(texts("(").length).toBe(FIELDS.length);
    expect(completeFlowQuery("a", 5, known)).toEqual([]);
    expect(completeFlowQuery("a", -1, known)).toEqual([]);
  });
});

describe("window", () => {
  it("has the records that share a moment with it", () => {
    const record = sampleRecord();
    const inside = (sinceMs: number | null, untilMs: number | null) =>
      matchesQuery({ ...EVERYTHING, sinceMs, untilMs }, record, NO_LABELS);
    expect(inside(WINDOW_START_MS + 9_999, null)).toBe(true);
    expect(inside(WINDOW_START_MS + 10_000, null)).toBe(false);
    expect(inside(null, WINDOW_START_MS + 1)).toBe(true);
    expect(inside(null, WINDOW_START_MS)).toBe(false);
  });
});
