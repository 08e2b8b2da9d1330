/**
 * Groups of endpoints that belong together by their labels: what people mean by "the web servers". Labels that differ
 * from member to member or from release to release make no groups.
 */
import type { Endpoint, Inventory } from "../model.ts";

export interface GroupOptions {
  /** Keys that make no groups, besides {@link CHURN_LABELS}. */
  readonly ignoreLabels?: readonly string[];
  /** Only these keys make groups; default every key that is not ignored. */
  readonly groupBy?: readonly string[];
}

export interface LabelGroup {
  /** Unique in an inventory. */
  readonly key: string;
  readonly namespace: string;
  /** Sorted by key; empty for endpoints without a label that makes groups. */
  readonly labels: readonly (readonly [key: string, value: string])[];
  /** In the order of the inventory. */
  readonly members: readonly Endpoint[];
  /** For people: `default app=web`. */
  readonly text: string;
}

/** Written by controllers, or changing with each release. */
export const CHURN_LABELS: readonly string[] = [
  "pod-template-hash",
  "controller-revision-hash",
  "pod-template-generation",
  "controller-uid",
  "batch.kubernetes.io/controller-uid",
  "batch.kubernetes.io/job-name",
  "job-name",
  "batch.kubernetes.io/job-completion-index",
  "statefulset.kubernetes.io/pod-name",
  "apps.kubernetes.io/pod-index",
  "kubernetes.io/hostname",
  "app.kubernetes.io/version",
  "app.kubernetes.io/instance-id",
  "helm.sh/chart",
  "version",
  "release",
  "chart",
  "heritage",
];

/** The random part that Kubernetes puts behind names: its alphabet has no vowels and none of 0, 1 and 3. */
const KUBERNETES_SUFFIX = /-(?=[^-]*\d)[bcdfghjklmnpqrstvwxz2456789]{5}$/;
const HASH = /(^|-)(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{7,64}$/;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** Whether a value names one thing or one release, and no group. */
export function isChurnValue(value: string): boolean {
  return UUID.test(value) || HASH.test(value) || KUBERNETES_SUFFIX.test(value);
}

/** The group of each endpoint, by endpoint key. */
export function labelGroups(inventory: Inventory, options: GroupOptions = {}): ReadonlyMap<string, LabelGroup> {
  const ignored = new Set([...CHURN_LABELS, ...(options.ignoreLabels ?? [])]);
  const wanted = options.groupBy === undefined ? null : new Set(options.groupBy);
  const members = new Map<string, { labels: LabelGroup["labels"]; members: Endpoint[] }>();
  const keyOf = new Map<string, string>();
  for (const endpoint of inventory.endpoints) {
    const labels = [...endpoint.labels]
      .filter(([key, value]) => (wanted === null ? !ignored.has(key) : wanted.has(key)) && makesGroups(endpoint, value))
      .sort(([left], [right]) => (left < right ? -1 : left > right ? 1 : 0));
    const key = JSON.stringify([endpoint.namespace, labels]);
    const group = members.get(key) ?? { labels, members: [] };
    group.members.push(endpoint);
    members.set(key, group);
    keyOf.set(endpoint.key, key);
  }
  const groups = new Map<string, LabelGroup>();
  for (const [key, group] of members) {
    const namespace = group.members[0]?.namespace ?? "default";
    groups.set(key, { key, namespace, ...group, text: groupText(namespace, group.labels, group.members) });
  }
  return new Map([...keyOf].flatMap(([endpointKey, key]) => [[endpointKey, groups.get(key)!] as const]));
}

/** A label that repeats the endpoint's own name picks that endpoint only. */
function makesGroups(endpoint: Endpoint, value: string): boolean {
  return value !== "" && value !== endpoint.name && !isChurnValue(value);
}

function groupText(namespace: string, labels: LabelGroup["labels"], members: readonly Endpoint[]): string {
  if (labels.length > 0) return `${namespace} ${labels.map(([key, value]) => `${key}=${value}`).join(", ")}`;
  const [only] = members;
  return only && members.length === 1 ? only.key : `${namespace} without labels`;
}
