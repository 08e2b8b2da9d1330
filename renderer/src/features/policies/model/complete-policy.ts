import type { Completion, CompletionContext, CompletionResult } from "@codemirror/autocomplete";

/** Keys of the formats the console reads, with the field's term; enough to write a policy without leaving the editor. */
const KEYS: readonly (readonly [string, string])[] = [
  ["apiVersion", "format of the document"],
  ["kind", "what the document is"],
  ["metadata", "name, namespace, labels"],
  ["name", "unique within its kind and namespace"],
  ["namespace", "default when absent"],
  ["labels", "what selectors match"],
  ["spec", "the content"],
  ["podSelector", "subject, or peer, by labels"],
  ["namespaceSelector", "peer namespaces, by labels"],
  ["matchLabels", "all of these labels"],
  ["matchExpressions", "In, NotIn, Exists, DoesNotExist"],
  ["policyTypes", "directions that become isolated"],
  ["ingress", "who may connect to the subject"],
  ["egress", "where the subject may connect"],
  ["from", "peers of an ingress rule"],
  ["to", "peers of an egress rule"],
  ["ipBlock", "peer by address"],
  ["cidr", "address prefix"],
  ["except", "prefixes taken out of cidr"],
  ["ports", "absent = every port and protocol"],
  ["protocol", "TCP, UDP, SCTP, ICMP"],
  ["port", "number or name"],
  ["endPort", "last port of a range"],
  ["addresses", "addresses of a host or workload"],
];

const VALUES: Readonly<Record<string, readonly string[]>> = {
  apiVersion: ["networking.k8s.io/v1", "ztap/v1", "wardline.io/v1"],
  kind: ["NetworkPolicy", "Host", "Workload"],
  protocol: ["TCP", "UDP", "SCTP", "ICMP"],
  operator: ["In", "NotIn", "Exists", "DoesNotExist"],
};

const SNIPPET = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: name
spec:
  podSelector:
    matchLabels:
      app: app
  policyTypes: [Ingress]
  ingress:
    - from:
        - ipBlock:
            cidr: 10.0.0.0/8
      ports:
        - protocol: TCP
          port: 443
`;

/** Completes keys and closed values of the line under the cursor; works in half-typed documents. */
export function completePolicy(context: CompletionContext): CompletionResult | null {
  const line = context.state.doc.lineAt(context.pos);
  const before = line.text.slice(0, context.pos - line.from);
  const value = /^[\s-]*([A-Za-z]+):\s+(\S*)$/.exec(before);
  if (value) {
    const choices = VALUES[value[1] ?? ""];
    if (!choices) return null;
    return { from: context.pos - (value[2]?.length ?? 0), options: choices.map((label) => ({ label, type: "enum" })) };
  }
  const key = /^[\s-]*([A-Za-z]*)$/.exec(before);
  if (!key || (key[1] === "" && !context.explicit)) return null;
  const options: Completion[] = KEYS.map(([label, detail]) => ({
    label,
    detail,
    type: "property",
    apply: `${label}: `,
  }));
  if (/^[A-Za-z]*$/.test(before))
    options.unshift({ label: "NetworkPolicy", detail: "a whole policy", type: "text", apply: SNIPPET });
  return { from: context.pos - (key[1]?.length ?? 0), options, validFor: /^[A-Za-z]*$/ };
}
