import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ErrorCode, Failure } from "../errors/index.ts";
import { type SelectableHost, selectHosts } from "./selector.ts";

function host(id: string, change: Partial<Omit<SelectableHost, "labels">> & { labels?: Record<string, string> } = {}) {
  const { labels = {}, ...rest } = change;
  const base = { id, name: `${id}-name`, alias: `${id}-alias`, groups: [], environment: "" };
  return { ...base, ...rest, labels: new Map(Object.entries(labels)) } satisfies SelectableHost;
}

const HOSTS: readonly SelectableHost[] = [
  host("local", { alias: "", name: "desk", labels: { app: "console" } }),
  host("a", { groups: ["web", "eu"], environment: "production", labels: { app: "web", tier: "front" } }),
  host("b", { groups: ["web"], environment: "staging", labels: { app: "web" } }),
  host("c", { groups: ["db", "eu"], environment: "production", labels: { app: "db", "example.com/rack": "7" } }),
];

const ids = (text: string, hosts = HOSTS) => selectHosts(text, hosts).map(({ id }) => id);

function failureOf(text: string, hosts = HOSTS): Failure {
  try {
    selectHosts(text, hosts);
  } catch (error) {
    if (error instanceof Failure) return error;
    throw error;
  }
  throw new Error(`${text} was accepted`);
}

describe("a selector", () => {
  it.each([
    ["all", ["local", "a", "b", "c"]],
    ["local", ["local"]],
    ["desk", ["local"]],
    ["c,a-alias , b-name", ["a", "b", "c"]],
    ["c,c-alias,c-name", ["c"]],
    ["group:web", ["a", "b"]],
    ["group:web,group:eu", ["a"]],
    ["group:eu,env:production,app=web", ["a"]],
    ["env:staging", ["b"]],
    ["app=web,tier!=front", ["b"]],
    ["app==db", ["c"]],
    ["label:tier", ["a"]],
    ["!tier,app!=console", ["b", "c"]],
    ["example.com/rack=7", ["c"]],
    ["group:db+b,local", ["local", "b", "c"]],
    ["app=db+app=console", ["local", "c"]],
  ])("%s picks %j", (text, expected) => {
    expect(ids(text)).toEqual(expected);
  });

  it.each([
    ["", "empty part"],
    ["a,,b", "empty part"],
    ["a+", "empty part"],
    ["all,a", "stands alone"],
    ["a,group:db", "mixes names with conditions"],
    ["group:", "does not say which"],
    ["!", "not a label key"],
    ["-x=1", "not a label key"],
    ["a=b=c=".repeat(1000), "at most 4096"],
    ["a,".repeat(250), "empty part"],
    [Array(201).fill("a").join(","), "at most 200 words"],
  ])("refuses %.40s", (text, message) => {
    const failure = failureOf(text);
    expect(failure.code).toBe(ErrorCode.INVALID_ARGUMENT);
    expect(failure.message).toContain(message);
  });

  it.each([
    ["a-alais", 'no host "a-alais"', "Did you mean a-alias?"],
    ["group:wbe", 'no group "wbe"', "Did you mean group:web?"],
    ["env:prodution", 'no environment "prodution"', "Did you mean env:production?"],
    ["teir!=front", 'no label "teir"', "Did you mean tier?"],
    ["app=wbe", 'no host with "app=wbe"', "Did you mean app=web?"],
    ["nothing-like-it", "no host", "wardline host list"],
    ["group:db,env:staging", "No host matches", "wardline host list"],
  ])("%s names what is not there", (text, message, hint) => {
    const failure = failureOf(text);
    expect(failure.code).toBe(ErrorCode.NOT_FOUND);
    expect(failure.message).toContain(message);
    expect(failure.hint).toContain(hint);
  });

  it("takes the person's word before a machine's, and neither of two machines that claim one name", () => {
    const hosts = [host("x", { name: "db" }), host("y", { name: "db" }), host("z", { alias: "db" })];
    expect(ids("db", hosts)).toEqual(["z"]);
    expect(failureOf("db", hosts.slice(0, 2)).hint).toContain("x-alias, y-alias");
  });

  it("gives hosts that exist or a failure, whatever it is given", () => {
    const words = ["all", "a", "group:web", "env:", "app=web", "!tier", ",", "+", "=", "\u0000", "é", "label:"];
    const text = fc.oneof(
      fc.string(),
      fc.array(fc.constantFrom(...words)).map((list) => list.join("")),
    );
    fc.assert(
      fc.property(text, (given) => {
        try {
          const found = selectHosts(given, HOSTS);
          return found.length > 0 && found.every((each) => HOSTS.includes(each));
        } catch (error) {
          return error instanceof Failure && error.message.length < 400;
        }
      }),
    );
  });
});
