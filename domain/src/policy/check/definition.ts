import type { Severity } from "../diagnostic.ts";
import type { ReadLimits } from "../yaml/limits.ts";
import type { RiskOptions } from "./risk.ts";

/** Everything about one code. Codes are stable: they are never renumbered, and a retired one is never used again. */
export interface DiagnosticDefinition {
  readonly title: string;
  readonly severity: Severity;
  /** Why it is reported, in one or two sentences. */
  readonly meaning: string;
  /** What to do about it. */
  readonly remedy: string;
  readonly example: DiagnosticExample;
}

/**
 * Input that triggers this code and no other one. ⟦ and ⟧ enclose the reported range and are not part of the text; without
 * them the start of the file is meant. Texts are read together with {@link EXAMPLE_INVENTORY} unless `alone`.
 */
export type DiagnosticExample =
  | {
      readonly text: string;
      readonly alone?: boolean;
      readonly limits?: Partial<ReadLimits>;
      /** Unix time at which it is read. */
      readonly nowUnixMs?: number;
      /** The text has no other problem, and these are the risks of it. */
      readonly risks?: RiskOptions;
    }
  | { readonly bytes: readonly number[]; readonly description: string };

export const EXAMPLE_INVENTORY = `apiVersion: wardline.io/v1
kind: Host
metadata: {name: web-1, labels: {app: web}}
spec: {addresses: [192.0.2.10], ports: [{name: https, port: 443}]}
---
apiVersion: wardline.io/v1
kind: Host
metadata: {name: db-1, labels: {app: db}}
spec: {addresses: [192.0.2.20], ports: [{name: postgres, port: 5432}]}
`;

function indented(text: string): string {
  return text
    .trim()
    .split("\n")
    .map((line) => (line === "" ? "" : `  ${line}`))
    .join("\n");
}

export function kubernetesExample(spec: string): string {
  return `apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata:\n  name: example\nspec:\n${indented(spec)}\n`;
}

export function ztapExample(spec: string): string {
  return `apiVersion: ztap/v1\nkind: NetworkPolicy\nmetadata:\n  name: example\nspec:\n${indented(spec)}\n`;
}

export function hostExample(spec: string): string {
  return `apiVersion: wardline.io/v1\nkind: Host\nmetadata:\n  name: example\nspec:\n${indented(spec)}\n`;
}

export function workloadExample(spec: string): string {
  return `apiVersion: wardline.io/v1\nkind: Workload\nmetadata:\n  name: example\nspec:\n${indented(spec)}\n`;
}

export function adminExample(spec: string): string {
  return `apiVersion: policy.networking.k8s.io/v1alpha1\nkind: AdminNetworkPolicy\nmetadata:\n  name: example\nspec:\n${indented(spec)}\n`;
}

export function clusterExample(spec: string): string {
  return `apiVersion: policy.networking.k8s.io/v1alpha2\nkind: ClusterNetworkPolicy\nmetadata:\n  name: example\nspec:\n${indented(spec)}\n`;
}

export function policyExample(spec: string): string {
  return `apiVersion: wardline.io/v1\nkind: Policy\nmetadata:\n  name: example\nspec:\n${indented(spec)}\n`;
}
