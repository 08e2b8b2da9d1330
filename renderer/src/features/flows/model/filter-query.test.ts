import { describe, expect, it } from "vitest";
import { EMPTY_FLOW_QUERY } from "../../../data/flow-buffer.ts";
import { addTerm, type FilterTerm, parseSearch, removeTerm, termsOf, termText } from "./filter-query.ts";

describe("filter terms", () => {
  const terms: FilterTerm[] = [
    { part: "verdict", value: "deny" },
    { part: "direction", value: "egress" },
    { part: "protocol", value: 17 },
    { part: "port", value: 443, isExcluded: false },
    { part: "port", value: 53, isExcluded: true },
    { part: "address", value: "10.0.0.0/8", isExcluded: false },
    { part: "policy", value: "NetworkPolicy/default/web", isExcluded: true },
    { part: "process", value: "/usr/bin/curl", isExcluded: false },
    { part: "user", value: "root", isExcluded: true },
    { part: "text", value: "db" },
  ];
  it("survive a round trip through the query, and removing each leaves nothing", () => {
    const query = terms.reduce(addTerm, EMPTY_FLOW_QUERY);
    expect(termsOf(query)).toEqual(terms);
    expect(terms.reduce(removeTerm, query)).toEqual(EMPTY_FLOW_QUERY);
  });
  it("excluding what was included replaces it", () => {
    const query = addTerm(addTerm(EMPTY_FLOW_QUERY, { part: "port", value: 443, isExcluded: false }), {
      part: "port",
      value: 443,
      isExcluded: true,
    });
    expect(query).toMatchObject({ ports: [], excludePorts: [443] });
  });
  it("read as words", () => {
    expect(terms.map(termText)).toEqual([
      "denied",
      "outgoing",
      "UDP",
      "port is 443",
      "port is not 53",
      "address is 10.0.0.0/8",
      "policy is not default/web",
      "process is /usr/bin/curl",
      "user is not root",
      "“db”",
    ]);
  });
});

describe("parseSearch", () => {
  it.each<[string, FilterTerm | null]>([
    ["", null],
    ["10.0.0.0/8", { part: "address", value: "10.0.0.0/8", isExcluded: false }],
    ["!2001:db8::/32", { part: "address", value: "2001:db8::/32", isExcluded: true }],
    ["port:443", { part: "port", value: 443, isExcluded: false }],
    ["!:53", { part: "port", value: 53, isExcluded: true }],
    ["policy:NetworkPolicy/default/web", { part: "policy", value: "NetworkPolicy/default/web", isExcluded: false }],
    ["process:nginx: worker", { part: "process", value: "nginx: worker", isExcluded: false }],
    ["!user:www-data", { part: "user", value: "www-data", isExcluded: true }],
    ["process:", { part: "text", value: "process:" }],
    ["nginx", { part: "text", value: "nginx" }],
    ["port:99999", { part: "text", value: "port:99999" }],
  ])("%j", (text, term) => {
    expect(parseSearch(text)).toEqual(term);
  });
});
