import { describe, expect, it } from "vitest";
import { Failure } from "../../errors/index.ts";
import type { LabelRequirement } from "../model.ts";
import { cidr, host, workload, world } from "../testing/index.ts";
import { parseAccessEnd } from "./index.ts";

const { inventory } = world([host("web"), workload("db", "web"), workload("db", "web", { namespace: "prod" })], []);

function parse(text: string) {
  return parseAccessEnd(inventory, text);
}

function requirements(text: string): readonly LabelRequirement[] {
  const end = parse(text);
  if (end.kind !== "endpoints") throw new Error(`${text} is ${end.kind}`);
  return end.selector.endpoints.requirements;
}

describe("a group as typed", () => {
  it("is a label selector as kubectl writes it", () => {
    expect(requirements("app=web")).toEqual([{ key: "app", operator: "In", values: ["web"] }]);
    expect(requirements(" app == web , tier!=db,zone in (a, b),x notin (c),!old,example.org/new ")).toEqual([
      { key: "app", operator: "In", values: ["web"] },
      { key: "tier", operator: "NotIn", values: ["db"] },
      { key: "zone", operator: "In", values: ["a", "b"] },
      { key: "x", operator: "NotIn", values: ["c"] },
      { key: "old", operator: "DoesNotExist", values: [] },
      { key: "example.org/new", operator: "Exists", values: [] },
    ]);
  });

  it("may be of one namespace", () => {
    expect(parse("app=web@prod")).toMatchObject({ selector: { namespaces: { kind: "name", name: "prod" } } });
    expect(parse("@prod")).toMatchObject({ selector: { endpoints: { requirements: [] } } });
  });

  it("is an address, a prefix, an entity or an endpoint", () => {
    expect(parse("10.0.0.1")).toEqual({ kind: "addresses", cidr: cidr("10.0.0.1/32"), except: [] });
    expect(parse("2001:db8::/32")).toEqual({ kind: "addresses", cidr: cidr("2001:db8::/32"), except: [] });
    const ofKey = parse("6ab7523d02831823e4fe94b1dadedf5ff6345f963ba193fa9a7da9547ed0e73a");
    expect(ofKey).toEqual(parse("201:5522:b70b:f5f3:9f70:6c05:ad38:9484"));
    expect([parse("any"), parse("world")]).toEqual([{ kind: "any" }, { kind: "entity", entity: "world" }]);
    expect(parse("web")).toEqual({ kind: "keys", keys: ["Host/web"] });
    expect(parse("prod/db")).toEqual({ kind: "keys", keys: ["Workload/prod/db"] });
    expect(parse("Workload/default/db")).toEqual({ kind: "keys", keys: ["Workload/default/db"] });
  });

  it.each([
    "",
    "host",
    "nobody",
    "db",
    "10.0.0.0/99",
    "10.0.0",
    "fe80::1%eth0",
    "a=b=c",
    "a in (",
    "a=b@",
    "a=b,,",
    "=b",
    "a b",
  ])("is not %j", (text) => expect(() => parse(text)).toThrow(Failure));

  it("is refused in bounded time, however long", () => {
    for (const part of ["a", "a=", "(", "a in (", "!", "a,", "a.", "-"])
      expect(() => parse(part.repeat(5_000))).toThrow(Failure);
  });
});
