/**
 * A policy engine whose tables are the text of the files. `until=<Unix ms>;` goes when that time has come,
 * `name=<domain>;` stands for the addresses of the name, `discovered;` for those that the cluster knows, and each
 * quarantine is a line of its own.
 */
import { createHash } from "node:crypto";
import type { Endpoint, HostProgram, SourceFile, SourceRange } from "@wardline/domain/policy";
import type { Circumstances, Dependencies, PolicyEngine, ReadState } from "../agent/policyEngine.ts";

function digestOf(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

const SOURCE: SourceRange = { file: "bad.yaml", line: 3, column: 5, endLine: 3, endColumn: 9 };

/** Two machines with one address each and a workload of the first, known to every state. */
export const FAKE_ENDPOINTS: readonly Endpoint[] = [
  {
    key: "Host/alpha",
    kind: "host",
    name: "alpha",
    namespace: "default",
    labels: new Map(),
    addresses: ["10.0.0.1"],
    ports: [],
    hostName: "alpha",
    match: null,
    source: null,
  },
  {
    key: "Workload/shop/web",
    kind: "workload",
    name: "web",
    namespace: "shop",
    labels: new Map(),
    addresses: ["10.0.0.2"],
    ports: [],
    hostName: null,
    match: null,
    source: null,
  },
  {
    key: "Workload/shop/db",
    kind: "workload",
    name: "db",
    namespace: "shop",
    labels: new Map(),
    addresses: [],
    ports: [],
    hostName: "alpha",
    match: { kind: "systemdUnit", unit: "db.service" },
    source: null,
  },
];

export function fakeProgram(text: string): HostProgram {
  return {
    formatVersion: 1,
    hostName: "alpha",
    digest: digestOf(text),
    sets: [{ id: 0, endpointKey: "Host/alpha", match: null }],
    addresses4: [],
    addresses6: [],
    classes: [],
    ports: [],
    decisions: [
      {
        index: 0,
        id: "00000000000000aa",
        verdict: "deny",
        observeOnly: false,
        reason: "isolated",
        tier: "application",
        policyKeys: ["NetworkPolicy/default/web"],
        rule: null,
        source: SOURCE,
      },
    ],
  };
}

export class FakeEngine implements PolicyEngine {
  /** What this version of the engine adds to its tables: another version compiles the same policies to others. */
  readonly #version: string;

  constructor(version = "") {
    this.#version = version;
  }

  read(files: readonly SourceFile[]): ReadState {
    const isBad = files.some((file) => file.text.includes("bad"));
    return {
      world: { policies: [], inventory: { endpoints: FAKE_ENDPOINTS, namespaces: new Map() }, files } as never,
      diagnostics: isBad
        ? [{ code: "WL201", severity: "error", message: "This is not known.", source: SOURCE, fix: null }]
        : [],
      ok: !isBad,
    };
  }

  compile(world: ReadState["world"], _hostName: string, circumstances: Circumstances): HostProgram {
    const text = textOf(world)
      .replace(/until=(\d+);/g, (whole, at) => (Number(at) <= circumstances.atUnixMs ? "" : whole))
      .replace(/name=([^;]*);/g, (whole, name) => [whole, ...(circumstances.domainAddresses.get(name) ?? [])].join())
      .replace("discovered;", `discovered;${circumstances.discovered.flatMap(({ addresses }) => addresses).join()}`);
    return fakeProgram(text + quarantineText(circumstances) + this.#version);
  }

  dependencies(world: ReadState["world"]): Dependencies {
    const text = textOf(world);
    const found = (pattern: RegExp) => [...text.matchAll(pattern)].map(([, value = ""]) => value);
    return { expiriesUnixMs: found(/until=(\d+);/g).map(Number), domainNames: found(/name=([^;]*);/g) };
  }

  stateDigest(files: readonly SourceFile[]): string {
    return digestOf(JSON.stringify(files));
  }
}

/** What is added to the text of the policies while these are cut off. */
export function quarantineText({
  quarantines,
  observesPolicies,
}: Pick<Circumstances, "quarantines" | "observesPolicies">): string {
  const lines = quarantines.map(({ subjectKey, managementCidrs }) => `\ncut ${subjectKey} ${managementCidrs.join()}`);
  return `${lines.join("")}${observesPolicies ? "\nobserved" : ""}`;
}

function textOf(world: ReadState["world"]): string {
  const { files } = world as unknown as { files: readonly SourceFile[] };
  return files.map((file) => file.text).join("\n");
}
