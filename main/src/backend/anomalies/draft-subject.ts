/** The smallest selector that picks one endpoint and nobody else. */
import type { Endpoint, Inventory } from "@wardline/domain/policy";

export interface SubjectChoice {
  readonly namespace: string;
  /** As in `spec.subject`. */
  readonly selector: Readonly<Record<string, unknown>>;
  /** What a person has to know of it. */
  readonly remarks: readonly string[];
}

/** Labels that are tried together; more of them hardly ever tell apart what fewer do not. */
const MAX_LABELS = 3;

export function subjectOf(endpoint: Endpoint, { endpoints }: Inventory): SubjectChoice {
  const isHost = endpoint.kind === "host";
  const { namespace } = endpoint;
  // Hosts are picked wherever they are, workloads within the policy's namespace.
  const others = endpoints.filter(
    (other) => other.key !== endpoint.key && (isHost ? other.kind === "host" : other.namespace === namespace),
  );
  const best = labelSets(endpoint.labels)
    .map((labels) => ({ labels, also: others.filter((other) => hasAll(other, labels)) }))
    .sort((left, right) => left.also.length - right.also.length || left.labels.length - right.labels.length)[0];
  const labels = best?.labels ?? [];
  const also = best?.also ?? others;
  const matchLabels = { matchLabels: Object.fromEntries(labels) };
  const selector = isHost
    ? { hosts: labels.length > 0 ? matchLabels : {} }
    : { selector: labels.length > 0 ? matchLabels : {} };
  if (also.length === 0) return { namespace, selector, remarks: [] };
  const names = also.slice(0, 5).map(({ key }) => key);
  const more = also.length > names.length ? ` and ${also.length - names.length} more` : "";
  const remark = `No label is ${endpoint.key}'s alone: this is also for ${names.join(", ")}${more}. Give it a label to narrow it.`;
  return { namespace, selector, remarks: [remark] };
}

/** Every set of up to three labels, the small ones first; all labels together last. */
function labelSets(labels: ReadonlyMap<string, string>): [string, string][][] {
  const all = [...labels].sort(([left], [right]) => (left < right ? -1 : 1)).slice(0, 10);
  let sets: [string, string][][] = all.map((label) => [label]);
  const result = [...sets];
  for (let size = 2; size <= MAX_LABELS; size++) {
    sets = sets.flatMap((set) => all.filter(([key]) => key > (set.at(-1)?.[0] ?? "")).map((label) => [...set, label]));
    result.push(...sets);
  }
  return all.length > MAX_LABELS ? [...result, all] : result;
}

function hasAll({ labels }: Endpoint, wanted: readonly [string, string][]): boolean {
  return wanted.every(([key, value]) => labels.get(key) === value);
}
