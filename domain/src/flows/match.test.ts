import { describe, expect, it } from "vitest";
import { parseFlowQuery } from "./language/parse.ts";
import { type LabelResolver, matchesPattern, matchesQuery } from "./match.ts";
import { sampleRecord } from "./testing/samples.ts";

const NOW_MS = Date.UTC(2026, 10, 21, 13);

function queryOf(text: string) {
  const { query, diagnostics } = parseFlowQuery(text, { nowMs: NOW_MS });
  if (!query) throw new Error(`${text}: ${diagnostics[0]?.message}`);
  return query;
}
const labels: LabelResolver = (label) => ({
  subjectKeys: label === "app=web" ? ["Host/web-1"] : [],
  addresses: label === "app=db" ? ["192.0.2.20"] : [],
});

describe("matchesQuery", () => {
  const record = sampleRecord({ observedName: "db.example.com" });
  it.each([
    ...["host:web-1", "host:WEB-1", "host:web-*", "host:db-1,web-1", "-host:web", "label:app=web", "label:app=db"],
    ...["192.0.2.10", "192.0.2.0/24", "src:192.0.2.10", "dst:192.0.2.20", "peer:192.0.2.20", "-peer:192.0.2.10"],
    ...["name:db-1", "name:*.example.com", "name:DB.example.com", "-name:db", "port:5432", "port:5000-6000", ":5432"],
    ...["protocol:tcp", "process:psql", "process:/usr/bin/psql", "process:/usr/bin/*", "process:4711", "process:ps*"],
    ...[
      "user:www-data",
      "user:33",
      "user:WWW-data",
      "verdict:allow",
      "enforced:allow",
      "direction:out",
      "-direction:in",
    ],
    ...["policy:web", "policy:default/web", "policy:NetworkPolicy/default/web", "policy:*/web", "-policy:eb"],
    ...[
      "subject:web-1",
      "subject:Host/web-1",
      "cgroup:/system.slice",
      "cgroup:/system.slice/app.service",
      "-cgroup:/sys",
    ],
    ...[
      "psql",
      "EXAMPLE.com",
      "rule",
      "5432",
      'text:"by rule"',
      "ex*com",
      "-nosuch",
      "text:nosuch,psql",
      "text:default/",
    ],
    ...[
      "bytes>9999",
      "bytes=10k",
      "sent=1000",
      "received>=9k",
      "packets<41",
      "connections=3",
      "denied<=0",
      "duration=5s",
    ],
    ...["port:22 OR port:5432", "-(port:22 OR port:23)", "port:5432 (host:db-1 OR user:33)", ""],
  ])("%j holds", (text) => {
    expect(matchesQuery(queryOf(text), record, labels)).toBe(true);
  });
  it.each([
    ...["host:web", "label:app", "10.0.0.0/8", "src:192.0.2.20", "dst:192.0.2.10", "peer:192.0.2.10", "2001:db8::/32"],
    ...["name:db", "name:example.com", "port:543", "port:5433-6000", "protocol:udp", "process:PSQL", "process:psq"],
    ...["process:/usr/bin", "user:www", "verdict:deny", "direction:in", "policy:eb", "policy:Web", "subject:eb-1"],
    ...["cgroup:/system", "cgroup:app.service", "bytes>10k", "connections>3", "ex*org", "port:5432 host:db-1"],
  ])("%j does not hold", (text) => {
    expect(matchesQuery(queryOf(text), record, labels)).toBe(false);
  });
  it("ports are those of protocols that have them", () => {
    const ping = sampleRecord({ protocol: 1, destinationPort: 8 << 8 });
    for (const text of ["port:2048", "port:0-65535", "text:2048"]) {
      expect([text, matchesQuery(queryOf(text), ping, labels)]).toEqual([text, false]);
    }
    expect(matchesQuery(queryOf("protocol:icmp"), ping, labels)).toBe(true);
  });
  it("an unknown process is of no user and has no name", () => {
    const unknown = sampleRecord({ process: { pid: 0, userId: 0, userName: "", command: "", executable: "" } });
    for (const text of ["user:0", "user:*", "process:*", "process:0"]) {
      expect([text, matchesQuery(queryOf(text), unknown, labels)]).toEqual([text, false]);
    }
    expect(matchesQuery(queryOf("-process:*"), unknown, labels)).toBe(true);
  });
  it("a replaced program has the path that it had", () => {
    const replaced = { ...sampleRecord().process, command: "x", executable: "/usr/bin/psql (deleted)" };
    for (const text of ["process:/usr/bin/psql", "process:psql"]) {
      expect(matchesQuery(queryOf(text), sampleRecord({ process: replaced }), labels)).toBe(true);
    }
  });
});

describe("matchesPattern", () => {
  it.each<[string, string, boolean]>([
    ["a*c", "abc", true],
    ["a*c", "ac", true],
    ["ab*ba", "aba", false],
    ["*b*b*", "ab", false],
    ["*b*b*", "abb", true],
    ["a*b*c", "a-b-b-c", true],
    ["*", "", false],
    ["*", "x", true],
    ["a.c", "abc", false],
  ])("%j on %j: %j", (pattern, text, expected) => {
    expect(matchesPattern(pattern, text)).toBe(expected);
  });
});
