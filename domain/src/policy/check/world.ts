import type { ReadDocument } from "../formats/read-document.ts";
import { NAMESPACE_NAME_LABEL } from "../labels.ts";
import type { Endpoint, Inventory, Namespace, Policy, PolicyWorld, SourceFile, SourceRange } from "../model.ts";
import { DEFAULT_READ_LIMITS } from "../yaml/limits.ts";
import { EndpointIndex } from "./endpoint-index.ts";
import { checkInventory } from "./inventory.ts";
import { checkMeaning } from "./meaning.ts";
import type { CheckMemory } from "./memory.ts";
import { checkPolicies } from "./policies.ts";
import type { DiagnosticSink } from "./sink.ts";
import { SourceTexts } from "./source-texts.ts";

/** A policy with the places that its checks point at. */
export interface CheckedPolicy {
  readonly policy: Policy;
  readonly subjectSource: SourceRange;
}

export interface CheckedEndpoint {
  readonly endpoint: Endpoint;
  readonly addressSources: ReadonlyMap<string, SourceRange>;
  readonly hostSource: SourceRange | null;
}

export interface WorldCheckOptions {
  /** The texts that the documents were read from: fixes are edits of them. */
  readonly files?: readonly SourceFile[];
  /** Unix time; without it nothing is said about policies that expire. */
  readonly nowUnixMs?: number;
  /** See `ReadLimits`. */
  readonly maxRuleComparisons?: number;
  /** Leaves out what is no error about the policies together. */
  readonly errorsOnly?: boolean;
}

/** Puts the documents together and reports what is wrong between them. Of documents with one key the first counts. */
export function checkWorld(
  documents: readonly ReadDocument[],
  sink: DiagnosticSink,
  options: WorldCheckOptions = {},
  memory: CheckMemory | null = null,
): PolicyWorld {
  const policies: CheckedPolicy[] = [];
  const endpoints: CheckedEndpoint[] = [];
  const namespaces = new Map<string, Namespace>();
  for (const { object } of firstOfEachKey(documents, sink)) {
    if (object?.kind === "policy") policies.push(object);
    if (object?.kind === "endpoint") endpoints.push(object);
    if (object?.kind === "namespace") namespaces.set(object.namespace.name, object.namespace);
  }
  for (const { endpoint } of endpoints) {
    const name = endpoint.namespace;
    if (!namespaces.has(name)) namespaces.set(name, { name, labels: new Map([[NAMESPACE_NAME_LABEL, name]]) });
  }
  const inventory: Inventory = {
    endpoints: endpoints.map(({ endpoint }) => endpoint).toSorted(byKey),
    namespaces,
    domainAddresses: new Map(),
  };
  const index = memory?.indexOf(inventory, policies.length) ?? new EndpointIndex(inventory);
  const world: PolicyWorld = {
    policies: policies.map(({ policy }) => policy).toSorted(byKey),
    inventory: index.inventory,
  };
  checkInventory(endpoints, index, sink);
  const texts = new SourceTexts(options.files ?? []);
  checkPolicies(policies, index, sink, texts, memory);
  checkMeaning({
    world,
    policies,
    index,
    sink,
    texts,
    nowUnixMs: options.nowUnixMs ?? null,
    maxRuleComparisons: options.maxRuleComparisons ?? DEFAULT_READ_LIMITS.maxRuleComparisons,
    errorsOnly: options.errorsOnly ?? false,
    memory,
  });
  return world;
}

function byKey(one: { readonly key: string }, other: { readonly key: string }): number {
  return one.key < other.key ? -1 : one.key > other.key ? 1 : 0;
}

function firstOfEachKey(documents: readonly ReadDocument[], sink: DiagnosticSink): readonly ReadDocument[] {
  const seen = new Map<string, ReadDocument>();
  for (const document of documents) {
    const { key, kind, tier, file } = document.info;
    const first = seen.get(key);
    if (!first) {
      seen.set(key, document);
      continue;
    }
    const where = first.info.file === file ? `in line ${first.info.source.line}` : `in ${first.info.file}`;
    const code = tier !== null ? "WL303" : kind === "Namespace" ? "WL305" : "WL304";
    sink.report(code, document.nameSource, `${key} is already defined ${where}; one of the two would be lost.`);
  }
  return [...seen.values()];
}
