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
 * Agents and consoles of different versions compare digests, so equal worlds have to keep theirs. When the tables
 * change on purpose, `PROGRAM_FORMAT_VERSION` changes and these with it; when only what a digest is made of does, the
 * version in `digest.ts`.
 */
describe("digests", () => {
  it.each([
    ["a", "b4345d696e2064bfc8fe2d4a5fd7a767e5858eb3e1cc2bb49d4cd97117224bf1"],
    ["b", "9e2186abc71f0fdc879b8a46d6f3b7f53dbdb47426c04dc6b846bb1e4c53b04b"],
    ["nobody", "8e302a6fc2390183d1a9c08ef101d70565a26a223079a0965aa76ee159f71296"],
  ])("of %s are those that hosts have stored", (hostName, digest) => {
    expect(compile(FLEET, hostName).digest).toBe(digest);
    expect(compile(FLEET, hostName, () => createHash("sha256")).digest).toBe(digest);
  });
});
