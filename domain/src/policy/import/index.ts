/** Readers for the documents of other systems: Cilium, Calico, and the inventory of a Kubernetes cluster. */
import type { DocumentReader } from "../formats/document.ts";
import { CALICO_READERS } from "./calico-network-policy.ts";
import { ciliumClusterwideNetworkPolicy, ciliumNetworkPolicy } from "./cilium-network-policy.ts";
import { kubernetesNode, kubernetesPod } from "./kubernetes-inventory.ts";

export const FOREIGN_READERS: readonly DocumentReader[] = [
  kubernetesPod,
  kubernetesNode,
  ciliumNetworkPolicy,
  ciliumClusterwideNetworkPolicy,
  ...CALICO_READERS,
];
