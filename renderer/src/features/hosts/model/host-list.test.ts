import { create } from "@bufbuild/protobuf";
import { EnvironmentColor, HostSchema } from "@wardline/api/wardline/console/v1/hosts";
import { describe, expect, it } from "vitest";
import { groupHosts, matchesSearch } from "./host-list.ts";

const host = (name: string, environment: string, color: EnvironmentColor, more: object = {}) =>
  create(HostSchema, {
    id: name,
    name,
    ...(environment ? { environment: { name: environment, color } } : {}),
    ...more,
  });

const HOSTS = [
  host("zeta", "lab", EnvironmentColor.BLUE),
  host("here", "", EnvironmentColor.UNSPECIFIED, { local: true }),
  host("web-2", "production", EnvironmentColor.RED, { groups: ["edge"], labels: { app: "web" } }),
  host("web-1", "production", EnvironmentColor.RED, { alias: "front" }),
  host("apex", "", EnvironmentColor.UNSPECIFIED),
];

describe("the list of hosts", () => {
  it("puts what can hurt most first, and this machine before the others without an environment", () => {
    expect(groupHosts(HOSTS, "").map(({ name, hosts }) => [name, hosts.map(({ id }) => id)])).toEqual([
      ["production", ["web-1", "web-2"]],
      ["lab", ["zeta"]],
      ["", ["here", "apex"]],
    ]);
  });

  it("finds hosts by every word in their name, alias, group, environment or labels", () => {
    const found = (search: string) => HOSTS.filter((each) => matchesSearch(each, search)).map(({ id }) => id);
    expect(found("WEB production")).toEqual(["web-2", "web-1"]);
    expect(found("front")).toEqual(["web-1"]);
    expect(found("app=web edge")).toEqual(["web-2"]);
    expect(found("nothing")).toEqual([]);
  });
});
