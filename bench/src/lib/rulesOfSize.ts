/** Policy files with any number of rules, as an operator would split them: policies of a hundred rules. */
import type { SourceFile } from "@wardline/domain/policy";
import { type BenchRule, cidrAt } from "./rules.ts";

const RULES_PER_POLICY = 100;
const POLICIES_PER_FILE = 20;

export const SIZED_HOST: SourceFile = {
  path: "host.yaml",
  text: "apiVersion: wardline.io/v1\nkind: Host\nmetadata: {name: bench}\nspec: {addresses: [10.77.0.2]}\n",
};

/** Rule `index` of a revision. A revision moves every port by one, so that no table stays as it was. */
export function sizedRule(index: number, revision: number): BenchRule {
  const low = 1000 + ((index * 7 + revision) % 20_000);
  return { cidr: cidrAt(index), low, high: low + (index % 5) };
}

/** The same rules for nftables. */
export function sizedRules(count: number, revision: number): BenchRule[] {
  return Array.from({ length: count }, (_, index) => sizedRule(index, revision));
}

export interface SizedOptions {
  /** Index of one rule whose port is another, for measuring what one change costs. */
  readonly changed?: number | null;
  /** Networks in each rule, with the ports of the first; 1 unless given. */
  readonly networksPerRule?: number;
}

/** `count` networks in all. */
export function sizedFiles(count: number, revision: number, options: SizedOptions = {}): SourceFile[] {
  const policies = Math.ceil(count / RULES_PER_POLICY);
  const files: SourceFile[] = [SIZED_HOST];
  for (let first = 0; first < policies; first += POLICIES_PER_FILE) {
    const last = Math.min(policies, first + POLICIES_PER_FILE);
    const texts = Array.from({ length: last - first }, (_, offset) =>
      policyText(first + offset, count, revision, options),
    );
    files.push({ path: `rules-${first / POLICIES_PER_FILE}.yaml`, text: texts.join("---\n") });
  }
  return files;
}

function policyText(policy: number, count: number, revision: number, options: SizedOptions): string {
  const { changed = null, networksPerRule = 1 } = options;
  const from = policy * RULES_PER_POLICY;
  const rules: string[] = [];
  for (let index = from; index < Math.min(count, from + RULES_PER_POLICY); index += networksPerRule) {
    const isChanged = changed !== null && changed >= index && changed < index + networksPerRule;
    const { low, high } = sizedRule(index, isChanged ? revision + 1 : revision);
    const networks = Array.from(
      { length: networksPerRule },
      (_, place) => `{ipBlock: {cidr: ${cidrAt(index + place)}}}`,
    );
    rules.push(`  - to: [${networks.join(", ")}]\n    ports: [{protocol: TCP, port: ${low}, endPort: ${high}}]\n`);
  }
  return `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: rules-${policy}, namespace: default}
spec:
  podSelector: {}
  policyTypes: [Egress]
  egress:
${rules.join("")}`;
}
