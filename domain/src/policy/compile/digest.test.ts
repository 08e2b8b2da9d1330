import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { Entity, Peer } from "../model.ts";
import {
  addressPeer,
  endpointsPeer,
  host,
  NOWHERE,
  namedPort,
  policy,
  ports,
  rule,
  selectorFor,
  workload,
  world,
} from "../testing/index.ts";
import { compile } from "./index.ts";

const entity = (name: Entity): Peer => ({ kind: "entity", entity: name, source: NOWHERE });

const FLEET = world(
  [
    host("a", { addresses: ["10.0.0.1", "2001:db8::1"], ports: [{ name: "http", protocol: 6, port: 8080 }] }),
    host("b", { addresses: ["10.0.0.2"], ports: [{ name: "http", protocol: 6, port: 80 }] }),
    workload("web", "a", { ports: [{ name: "http", protocol: 6, port: 3000 }] }),
    workload("db", "a", { addresses: ["10.0.1.7"] }),
  ],
  [
    policy("guard", {
      tier: "admin",
      priority: 1,
      rules: [
        rule("ingress", { action: "deny", peers: [addressPeer("192.0.2.0/24", "192.0.2.128/25")] }),
        rule("ingress", { index: 1, action: "pass", peers: [entity("cluster")], ports: [ports(6, 1000, 2000)] }),
      ],
    }),
    policy("base", {
      tier: "baseline",
      rules: [rule("egress", { action: "deny", peers: [entity("world")], ports: [ports(17, 0, 65535)] })],
    }),
    policy("web", {
      subject: selectorFor("name=web"),
      rules: [
        rule("ingress", {
          peers: [endpointsPeer("name=b"), addressPeer("10.0.0.0/8", "10.0.0.0/24")],
          ports: [namedPort(6, "http"), ports(6, 443)],
        }),
        rule("egress", { peers: [entity("host")] }),
      ],
    }),
    policy("hosts", {
      subject: selectorFor("name=a"),
      isolates: { ingress: true, egress: true },
      rules: [
        rule("ingress", { ports: [ports(6, 22)] }),
        rule("egress", { peers: [endpointsPeer("name=b")], ports: [namedPort(6, "http")] }),
        rule("egress", { index: 1, peers: [entity("mesh")] }),
      ],
    }),
    policy("trial", {
      mode: "observe",
      subject: selectorFor("name=db"),
      rules: [rule("ingress", { peers: [endpointsPeer("name=web")] })],
    }),
  ],
);

/**
 * Agents and consoles of different versions compare digests, so equal worlds have to keep theirs. When the tables or their
 * encoding change on purpose, `PROGRAM_FORMAT_VERSION` changes and these with it.
 */
describe("digests", () => {
  it.each([
    ["a", "91ff48bf5b63b91f45719fa9dd5ff8a7795ea69bacef8959a707a02a99bd905e"],
    ["b", "c90bb5aadaa99e856c5cbfde90f49c6c628c284c582fd83f1ce6653c732bd547"],
    ["nobody", "7417b397d5a9c2f67ef7017134e42797200c88d52caf0791c386154a85cd2d4b"],
  ])("of %s are those that hosts have stored", (hostName, digest) => {
    expect(compile(FLEET, hostName).digest).toBe(digest);
    expect(compile(FLEET, hostName, () => createHash("sha256")).digest).toBe(digest);
  });
});
