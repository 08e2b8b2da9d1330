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
    ["a", "ccb9f23468468f2f70f86ced8744c5c0cf1d278808182102bbe28cd1b8076972"],
    ["b", "580e584a8ef119c3483ece3ec5aba33a9a4ee4f2d3ce5877c8d68dc62a9523a5"],
    ["nobody", "836f693a601e4f2691ac4632668415fe6c2d6b8419034b67578717a365bdcbcd"],
  ])("of %s are those of the first compiler", (hostName, digest) => {
    expect(compile(FLEET, hostName).digest).toBe(digest);
    expect(compile(FLEET, hostName, () => createHash("sha256")).digest).toBe(digest);
  });
});
