import { FOREIGN_READERS } from "../import/index.ts";
import type { DocumentReader } from "./document.ts";
import {
  kubernetesAdminNetworkPolicy,
  kubernetesBaselineAdminNetworkPolicy,
} from "./kubernetes-admin-network-policy.ts";
import { kubernetesClusterNetworkPolicy } from "./kubernetes-cluster-network-policy.ts";
import { kubernetesNamespace } from "./kubernetes-namespace.ts";
import { kubernetesNetworkPolicy } from "./kubernetes-network-policy.ts";
import { wardlineHost, wardlineWorkload } from "./wardline-inventory.ts";
import { wardlinePolicy } from "./wardline-policy.ts";
import { wardlinePolicyTest } from "./wardline-policy-test.ts";
import { wardlineService } from "./wardline-service.ts";
import { ztapNetworkPolicy } from "./ztap-network-policy.ts";

/** Every kind of document that is read. */
export const DOCUMENT_READERS: readonly DocumentReader[] = [
  ztapNetworkPolicy,
  kubernetesNetworkPolicy,
  kubernetesAdminNetworkPolicy,
  kubernetesBaselineAdminNetworkPolicy,
  kubernetesClusterNetworkPolicy,
  wardlinePolicy,
  wardlineService,
  wardlinePolicyTest,
  wardlineHost,
  wardlineWorkload,
  kubernetesNamespace,
  ...FOREIGN_READERS,
];

const BY_TYPE = new Map(DOCUMENT_READERS.map((reader) => [typeName(reader.apiVersion, reader.kind), reader]));

/** Wrappers whose `items` are documents of their own. */
const LIST_TYPES = new Set([
  typeName("v1", "List"),
  ...DOCUMENT_READERS.map((reader) => typeName(reader.apiVersion, `${reader.kind}List`)),
]);

export function findReader(apiVersion: string, kind: string): DocumentReader | null {
  const exact = BY_TYPE.get(typeName(apiVersion, kind));
  if (exact) return exact;
  return (
    DOCUMENT_READERS.find((reader) => reader.kind === kind && reader.schema?.apiVersionPattern?.test(apiVersion)) ??
    null
  );
}

export function isListType(apiVersion: string, kind: string): boolean {
  return LIST_TYPES.has(typeName(apiVersion, kind));
}

function typeName(apiVersion: string, kind: string): string {
  return `${apiVersion} ${kind}`;
}
