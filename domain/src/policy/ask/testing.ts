/** A small fleet to ask about. Only for tests. */
import type { PolicyWorld } from "../model.ts";
import {
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
import { type AskService, AskVocabulary } from "./vocabulary.ts";

const labels = (...pairs: readonly string[]): ReadonlyMap<string, string> =>
  new Map(pairs.map((pair) => pair.split("=") as [string, string]));

/** Two web servers, a database, a cache, and a host without policy. Only web may reach db, on 5432. */
export function askedWorld(): PolicyWorld {
  return world(
    [
      host("web-1", { addresses: ["10.0.0.1"], labels: labels("app=web") }),
      host("web-2", { addresses: ["10.0.0.2"], labels: labels("app=web") }),
      host("db-1", {
        addresses: ["10.0.0.7"],
        labels: labels("app=db"),
        ports: [
          { name: "pg", protocol: 6, port: 5432 },
          { name: "https", protocol: 6, port: 8443 },
        ],
      }),
      host("lone", { addresses: ["10.0.0.9"], labels: labels("app=lone") }),
      workload("cache", null, { namespace: "prod", addresses: ["10.0.1.1"], labels: labels("app=cache") }),
      workload("api", null, { namespace: "prod", addresses: ["10.0.1.2"], labels: labels("app=api") }),
      workload("api", null, { namespace: "test", addresses: ["10.0.2.2"], labels: labels("app=api", "stage=test") }),
    ],
    [
      policy("db", {
        subject: selectorFor("app=db"),
        isolates: { ingress: true, egress: false },
        rules: [
          rule("ingress", {
            peers: [endpointsPeer("app=web")],
            ports: [ports(6, 5432)],
            source: { ...NOWHERE, file: "db.yaml", line: 9 },
          }),
          rule("ingress", { index: 1, peers: [endpointsPeer("app=absent")], ports: [namedPort(6, "https")] }),
        ],
        source: { ...NOWHERE, file: "db.yaml", line: 1 },
      }),
      policy("web", {
        subject: selectorFor("app=web"),
        isolates: { ingress: true, egress: false },
        rules: [rule("ingress", { ports: [ports(6, 443), ports(6, 80)] })],
      }),
    ],
    new Map([["prod", { name: "prod", labels: labels("kubernetes.io/metadata.name=prod") }]]),
  );
}

export const ASKED_SERVICES: readonly AskService[] = [
  {
    key: "Service/prod/store",
    name: "store",
    namespace: "prod",
    peers: [
      { kind: "endpoints", selector: selectorFor("app=db"), source: NOWHERE },
      { kind: "endpoints", selector: selectorFor("app=cache"), source: NOWHERE },
    ],
    ports: null,
  },
];

export function askedVocabulary(): AskVocabulary {
  return new AskVocabulary(askedWorld().inventory, ASKED_SERVICES);
}
