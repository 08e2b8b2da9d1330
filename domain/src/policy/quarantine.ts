/**
 * Quarantine: subjects that are cut off above all policy. An overlay on a world, so that every engine and every backend
 * honours it as a policy like any other, under a name of its own.
 */
import { parseCidr } from "./address.ts";
import { hostEndpoint } from "./endpoints.ts";
import { nearestWord } from "./formats/suggest.ts";
import {
  type Endpoint,
  type Peer,
  type Policy,
  type PolicyRule,
  type PolicyWorld,
  PROTOCOL,
  type SourceRange,
  type WorkloadMatch,
} from "./model.ts";

/** What is cut off, and who may still come in. */
export interface QuarantineScope {
  /** Key of a host, which means everything on it, or of a workload. */
  readonly subjectKey: string;
  /** How a workload is found although the policies no longer declare it; `null` for hosts and where nobody knows. */
  readonly match: WorkloadMatch | null;
  /** Canonical prefixes that may still open TCP connections to `managementPorts`. Only for hosts. */
  readonly managementCidrs: readonly string[];
  readonly managementPorts: readonly number[];
}

/** First part of the key of a quarantine's policy; the subject's key follows. */
export const QUARANTINE_KEY_PREFIX = "wardline.io/quarantine/";
/** No selector of a person picks it: it exists only inside the overlay. */
const SUBJECT_LABEL = "wardline.io/quarantined-as";
/** Before every priority that a document can have; a workload's own before what its host leaves open for management. */
const PRIORITIES = { workload: -2, host: -1 } as const;
const NOWHERE: SourceRange = { file: "(quarantine)", line: 1, column: 1, endLine: 1, endColumn: 1 };

export function quarantinePolicyKey(subjectKey: string): string {
  return `${QUARANTINE_KEY_PREFIX}${subjectKey}`;
}

/**
 * The world with every quarantine of `hostName` as a policy before all others. A workload that the world does not declare
 * is declared by its quarantine. With `observesPolicies` the policies of the world are only reported, as in a generation
 * that was applied in observe mode, and the quarantines are enforced all the same.
 */
export function withQuarantines(
  world: PolicyWorld,
  hostName: string,
  quarantines: readonly QuarantineScope[],
  observesPolicies = false,
): PolicyWorld {
  if (quarantines.length === 0) return world;
  const { inventory } = world;
  const endpoints = withSubjects(world, hostName, quarantines);
  const others = observesPolicies
    ? world.policies.map((policy) => ({ ...policy, mode: "observe" as const }))
    : world.policies;
  const policies = [...others, ...quarantines.map(toPolicy)].sort((left, right) => (left.key < right.key ? -1 : 1));
  return {
    policies,
    inventory: { ...inventory, endpoints: endpoints.map((endpoint) => labelled(endpoint, hostName, quarantines)) },
  };
}

/** The inventory as people wrote it: without the labels that quarantines hold endpoints by. */
export function withoutQuarantineLabels(inventory: PolicyWorld["inventory"]): PolicyWorld["inventory"] {
  const isOverlay = (key: string): boolean => key.startsWith(`${SUBJECT_LABEL}/`);
  const endpoints = inventory.endpoints.map((endpoint) => {
    const { labels } = endpoint;
    if (![...labels.keys()].some(isOverlay)) return endpoint;
    return { ...endpoint, labels: new Map([...labels].filter(([key]) => !isOverlay(key))) };
  });
  return { ...inventory, endpoints };
}

function withSubjects(
  world: PolicyWorld,
  hostName: string,
  quarantines: readonly QuarantineScope[],
): readonly Endpoint[] {
  const { inventory } = world;
  const declared = new Set(inventory.endpoints.map(({ key }) => key));
  const missing = quarantines.flatMap(({ subjectKey, match }): Endpoint[] => {
    if (declared.has(subjectKey)) return [];
    if (subjectKey === `Host/${hostName}`) return [hostEndpoint(inventory, hostName)];
    const [kind, namespace = "", name = ""] = subjectKey.split("/");
    if (kind !== "Workload" || match === null) return [];
    const base = hostEndpoint(inventory, hostName);
    return [{ ...base, key: subjectKey, kind: "workload", name, namespace, labels: new Map(), addresses: [], match }];
  });
  return [...inventory.endpoints, ...missing];
}

/** Carries the key of each quarantine that holds it: its own, and the one of its host. */
function labelled(endpoint: Endpoint, hostName: string, quarantines: readonly QuarantineScope[]): Endpoint {
  const here = endpoint.hostName === hostName;
  const held = quarantines.filter(
    ({ subjectKey }) => subjectKey === endpoint.key || (here && subjectKey === `Host/${hostName}`),
  );
  if (held.length === 0) return endpoint;
  const labels = new Map(endpoint.labels);
  for (const { subjectKey } of held) labels.set(`${SUBJECT_LABEL}/${subjectKey}`, "true");
  return { ...endpoint, labels };
}

function toPolicy(scope: QuarantineScope): Policy {
  const { subjectKey } = scope;
  const requirement = { key: `${SUBJECT_LABEL}/${subjectKey}`, operator: "In", values: ["true"] } as const;
  return {
    key: quarantinePolicyKey(subjectKey),
    apiVersion: "wardline.io/v1",
    kind: "Quarantine",
    name: subjectKey,
    namespace: null,
    tier: "admin",
    priority: subjectKey.startsWith("Host/") ? PRIORITIES.host : PRIORITIES.workload,
    mode: "enforce",
    description: null,
    expiresAtUnixMs: null,
    subject: { namespaces: { kind: "any" }, endpoints: { requirements: [requirement] } },
    isolates: { ingress: false, egress: false },
    rules: toRules(scope),
    source: NOWHERE,
  };
}

function toRules({ managementCidrs, managementPorts }: QuarantineScope): readonly PolicyRule[] {
  const deny = { action: "deny", peers: null, ports: null, source: NOWHERE } as const;
  const peers = managementCidrs.flatMap(addressPeer);
  const ports = managementPorts.map(
    (port) => ({ kind: "range", protocol: PROTOCOL.tcp, low: port, high: port, source: NOWHERE }) as const,
  );
  const management: readonly Omit<PolicyRule, "index">[] =
    peers.length === 0
      ? []
      : [{ direction: "ingress", name: "management", action: "allow", peers, ports, source: NOWHERE }];
  return [
    ...[...management, { direction: "ingress", name: "cut off", ...deny } as const].map((rule, index) => ({
      ...rule,
      index,
    })),
    { direction: "egress", name: "cut off", index: 0, ...deny },
  ];
}

function addressPeer(text: string): readonly Peer[] {
  const parsed = parseCidr(text);
  return parsed.ok ? [{ kind: "addresses", cidr: parsed.cidr, except: [], source: NOWHERE }] : [];
}

/** What can be quarantined on a host: itself and the workloads whose processes can be found there. */
export function quarantineSubjects({ inventory }: PolicyWorld, hostName: string): readonly Endpoint[] {
  const workloads = inventory.endpoints.filter(
    (endpoint) => endpoint.kind === "workload" && endpoint.hostName === hostName && endpoint.match !== null,
  );
  return [hostEndpoint(inventory, hostName), ...workloads];
}

export type FoundSubject =
  | { readonly kind: "found"; readonly endpoint: Endpoint }
  | { readonly kind: "ambiguous"; readonly keys: readonly string[] }
  /** `nearest`: what was probably meant; `keys`: what there is, at most ten. */
  | { readonly kind: "unknown"; readonly nearest: string | null; readonly keys: readonly string[] };

const MAX_NAMED = 10;

/** Finds a subject by its key, `namespace/name`, or a name that only one of them has. */
export function findQuarantineSubject(world: PolicyWorld, hostName: string, text: string): FoundSubject {
  const subjects = quarantineSubjects(world, hostName);
  const found = subjects.filter(
    ({ key, kind, namespace, name }) =>
      key === text || name === text || (kind === "workload" && `${namespace}/${name}` === text),
  );
  const exact = found.find(({ key }) => key === text) ?? (found.length === 1 ? found[0] : undefined);
  if (exact) return { kind: "found", endpoint: exact };
  if (found.length > 1) return { kind: "ambiguous", keys: found.map(({ key }) => key).slice(0, MAX_NAMED) };
  const names = subjects.flatMap(({ key, name, namespace }) => [key, name, `${namespace}/${name}`]);
  return {
    kind: "unknown",
    nearest: nearestWord(text, names),
    keys: subjects.map(({ key }) => key).slice(0, MAX_NAMED),
  };
}
