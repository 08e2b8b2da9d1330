import { describe, expect, it } from "vitest";
import { evaluate } from "../evaluate.ts";
import { resolveFlowEnds } from "../flow-ends.ts";
import { readForeign } from "./testing.ts";

/** As `kubectl get pods,nodes,ns,networkpolicy -A -o yaml` prints it, shortened. */
const DUMP = `apiVersion: v1
items:
- apiVersion: v1
  kind: Pod
  metadata:
    annotations:
      kubectl.kubernetes.io/last-applied-configuration: |
        {"apiVersion":"v1","kind":"Pod"}
    creationTimestamp: "2026-01-02T03:04:05Z"
    labels: {app: db, pod-template-hash: 6d4cf56db6}
    managedFields:
    - {apiVersion: v1, fieldsType: FieldsV1, fieldsV1: {"f:metadata": {}}, manager: kubelet, operation: Update}
    name: db-0
    namespace: shop
    ownerReferences: [{apiVersion: apps/v1, kind: StatefulSet, name: db, uid: 1}]
    resourceVersion: "1"
    uid: 5ea2ac34-0000-0000-0000-000000000000
  spec:
    containers:
    - image: postgres
      name: postgres
      ports: [{containerPort: 5432, name: postgres, protocol: TCP}, {containerPort: 9187}]
      resources: {}
    nodeName: node-1
    tolerations: [{effect: NoExecute, key: a, operator: Exists}]
  status:
    phase: Running
    podIP: 10.244.0.7
    podIPs: [{ip: 10.244.0.7}, {ip: "fd00:10:244::7"}]
    conditions: [{type: Ready, status: "True"}]
- apiVersion: v1
  kind: Pod
  metadata: {name: web-1, namespace: shop, labels: {app: web}}
  spec: {nodeName: node-1, containers: []}
  status: {phase: Running, podIPs: [{ip: 10.244.0.8}]}
- apiVersion: v1
  kind: Pod
  metadata: {name: proxy, namespace: kube-system, labels: {app: proxy}}
  spec: {hostNetwork: true, nodeName: node-1}
  status: {phase: Running, podIP: 192.0.2.1, podIPs: [{ip: 192.0.2.1}]}
- apiVersion: v1
  kind: Pod
  metadata: {name: job, namespace: shop, labels: {app: web}}
  spec: {nodeName: node-1}
  status: {phase: Succeeded, podIP: 10.244.0.9}
- apiVersion: v1
  kind: Pod
  metadata: {name: waiting, namespace: shop, labels: {app: web}}
  spec: {nodeName: node-1}
  status: {phase: Pending}
- apiVersion: v1
  kind: Node
  metadata: {name: node-1, labels: {kubernetes.io/hostname: node-1}}
  spec: {podCIDR: 10.244.0.0/24}
  status:
    addresses: [{address: 192.0.2.1, type: InternalIP}, {address: node-1, type: Hostname}]
- apiVersion: v1
  kind: Namespace
  metadata: {name: shop, labels: {kubernetes.io/metadata.name: shop, team: sales}}
  spec: {finalizers: [kubernetes]}
  status: {phase: Active}
- apiVersion: networking.k8s.io/v1
  kind: NetworkPolicy
  metadata: {name: db, namespace: shop, generation: 1, uid: x}
  spec:
    podSelector: {matchLabels: {app: db}}
    policyTypes: [Ingress]
    ingress: [{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: postgres, protocol: TCP}]}]
  status: {}
kind: List
metadata: {resourceVersion: ""}
`;

describe("what kubectl prints of a cluster", () => {
  const { world, ok, diagnostics } = readForeign(DUMP);

  it("is read whole", () => {
    expect(diagnostics.filter(({ severity }) => severity === "error")).toEqual([]);
    expect(ok).toBe(true);
    const endpoints = world.inventory.endpoints.map(({ key, kind, addresses, hostName, ports }) => ({
      key,
      kind,
      addresses,
      hostName,
      ports: ports.map(({ name, port }) => `${name} ${port}`),
    }));
    expect(endpoints).toEqual([
      { key: "Host/node-1", kind: "host", addresses: ["192.0.2.1"], hostName: "node-1", ports: [] },
      { key: "Workload/kube-system/proxy", kind: "workload", addresses: [], hostName: "node-1", ports: [] },
      {
        key: "Workload/shop/db-0",
        kind: "workload",
        addresses: ["10.244.0.7", "fd00:10:244::7"],
        hostName: "node-1",
        ports: ["postgres 5432"],
      },
      // The address of a pod that is over may be another one's; one that waits has none yet.
      { key: "Workload/shop/job", kind: "workload", addresses: [], hostName: null, ports: [] },
      { key: "Workload/shop/waiting", kind: "workload", addresses: [], hostName: null, ports: [] },
      { key: "Workload/shop/web-1", kind: "workload", addresses: ["10.244.0.8"], hostName: "node-1", ports: [] },
    ]);
    expect(world.inventory.namespaces.get("shop")?.labels.get("team")).toBe("sales");
  });

  it("can be explained", () => {
    const verdict = (from: string, port: number) => {
      const ends = resolveFlowEnds(world, from, "shop/db-0");
      return evaluate(world, { ...ends, protocol: 6, port }).verdict;
    };
    expect(verdict("shop/web-1", 5432)).toBe("allow");
    expect(verdict("shop/web-1", 5433)).toBe("deny");
    expect(verdict("10.244.0.9", 5432)).toBe("deny");
  });
});

it.each(["constructor", "__proto__", "toString", "tcp"])("takes no port of the protocol %s", (protocol) => {
  const { world } = readForeign(`apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop}
spec:
  nodeName: node-1
  containers: [{name: web, ports: [{name: http, containerPort: 80, protocol: ${protocol}}, {name: https, containerPort: 443}]}]
status: {podIP: 10.0.0.5}
`);
  expect(world.inventory.endpoints.flatMap(({ ports }) => ports)).toEqual([{ name: "https", protocol: 6, port: 443 }]);
});
