/** Whole documents to begin with, one for each kind that is read. `${…}` is what a person fills in. */

export interface Snippet {
  readonly apiVersion: string;
  readonly kind: string;
  readonly detail: string;
  readonly text: string;
}

function snippet(apiVersion: string, kind: string, detail: string, body: string): Snippet {
  return {
    apiVersion,
    kind,
    detail,
    text: `apiVersion: ${apiVersion}\nkind: ${kind}\nmetadata:\n  name: \${name}\n${body}`,
  };
}

const LABELS = "matchLabels:\n";
const POD_POLICY = `spec:
  podSelector:
    ${LABELS}      \${app}: \${web}
  policyTypes: [Ingress]
  ingress:
    - from:
        - podSelector:
            ${LABELS}              \${app}: \${client}
      ports:
        - protocol: TCP
          port: \${443}
`;
const CLUSTER_SUBJECT = `  priority: \${10}
  subject:
    namespaces:
      ${LABELS}        kubernetes.io/metadata.name: \${default}
`;

/** In the order in which they are offered. */
export const SNIPPETS: readonly Snippet[] = [
  snippet(
    "wardline.io/v1",
    "Policy",
    "who may connect, with tiers, allow and deny",
    `spec:
  subject:
    selector:
      ${LABELS}        \${app}: \${web}
  ingress:
    - from:
        - selector:
            ${LABELS}              \${app}: \${client}
      ports:
        - protocol: TCP
          port: \${443}
`,
  ),
  snippet(
    "wardline.io/v1",
    "PolicyTest",
    "what must hold, proved while you type",
    `spec:
  tests:
    - from:
        selector:
          ${LABELS}            \${app}: \${client}
      to:
        selector:
          ${LABELS}            \${app}: \${web}
      ports:
        - protocol: TCP
          port: \${443}
      expect: \${allow}
      because: \${why this must hold}
`,
  ),
  snippet(
    "wardline.io/v1",
    "Host",
    "a machine, its labels and addresses",
    `  labels:\n    \${app}: \${web}\nspec:\n  addresses: [\${192.0.2.10}]\n`,
  ),
  snippet(
    "wardline.io/v1",
    "Workload",
    "a service or container on a host",
    `  labels:\n    \${app}: \${web}\nspec:\n  host: \${host}\n  match:\n    systemdUnit: \${nginx.service}\n`,
  ),
  snippet(
    "wardline.io/v1",
    "Service",
    "a name for peers and ports",
    `spec:
  selector:
    ${LABELS}      \${app}: \${db}
  ports:
    - protocol: TCP
      port: \${5432}
`,
  ),
  snippet("networking.k8s.io/v1", "NetworkPolicy", "the policy of Kubernetes", POD_POLICY),
  snippet(
    "policy.networking.k8s.io/v1alpha2",
    "ClusterNetworkPolicy",
    "cluster-wide, before or after all others",
    `spec:
  tier: \${Admin}
${CLUSTER_SUBJECT}  ingress:
    - action: \${Deny}
      from:
        - namespaces: {}
`,
  ),
  snippet(
    "policy.networking.k8s.io/v1alpha1",
    "AdminNetworkPolicy",
    "cluster-wide, before all others",
    `spec:
${CLUSTER_SUBJECT}  ingress:
    - action: \${Deny}
      from:
        - namespaces: {}
`,
  ),
  {
    apiVersion: "policy.networking.k8s.io/v1alpha1",
    kind: "BaselineAdminNetworkPolicy",
    detail: "cluster-wide, after all others",
    text: `apiVersion: policy.networking.k8s.io/v1alpha1
kind: BaselineAdminNetworkPolicy
metadata:
  name: default
spec:
  subject:
    namespaces: {}
  ingress:
    - action: \${Deny}
      from:
        - namespaces: {}
`,
  },
  snippet(
    "ztap/v1",
    "NetworkPolicy",
    "a policy of ztap",
    `spec:
  podSelector:
    ${LABELS}      \${app}: \${web}
  egress:
    - to:
        ipBlock:
          cidr: \${10.0.0.0/8}
      ports:
        - protocol: TCP
          port: \${443}
`,
  ),
  snippet("v1", "Namespace", "labels of a namespace", `  labels:\n    \${team}: \${shop}\n`),
  snippet(
    "cilium.io/v2",
    "CiliumNetworkPolicy",
    "a policy of Cilium, down to ports",
    `spec:
  endpointSelector:
    ${LABELS}      \${app}: \${web}
  ingress:
    - fromEndpoints:
        - ${LABELS}            \${app}: \${client}
      toPorts:
        - ports:
            - port: "\${443}"
              protocol: TCP
`,
  ),
  snippet(
    "cilium.io/v2",
    "CiliumClusterwideNetworkPolicy",
    "a policy of Cilium for every namespace",
    `spec:
  endpointSelector:
    ${LABELS}      \${app}: \${web}
  ingress:
    - fromEntities: [\${cluster}]
`,
  ),
  ...["projectcalico.org/v3", "crd.projectcalico.org/v1"].flatMap((apiVersion) => [
    snippet(
      apiVersion,
      "NetworkPolicy",
      "a policy of Calico",
      `spec:
  selector: \${app} == '\${web}'
  types: [Ingress]
  ingress:
    - action: Allow
      protocol: TCP
      source:
        selector: \${app} == '\${client}'
      destination:
        ports: [\${443}]
`,
    ),
    snippet(
      apiVersion,
      "GlobalNetworkPolicy",
      "a policy of Calico for every namespace",
      `spec:
  selector: \${app} == '\${web}'
  order: \${100}
  types: [Ingress]
  ingress:
    - action: \${Deny}
      source:
        nets: [\${192.0.2.0/24}]
`,
    ),
  ]),
  snippet(
    "v1",
    "Pod",
    "a pod as Kubernetes prints it",
    `  labels:\n    \${app}: \${web}\nstatus:\n  podIPs:\n    - ip: \${192.0.2.10}\n`,
  ),
  snippet(
    "v1",
    "Node",
    "a node as Kubernetes prints it",
    `  labels:\n    \${zone}: \${a}\nstatus:\n  addresses:\n    - type: InternalIP\n      address: \${192.0.2.10}\n`,
  ),
];

/** The text with what stands in the placeholders. */
export function plainSnippet(text: string): string {
  return text.replace(/\$\{([^}]*)\}/g, "$1");
}
