/** Policy files for the tests of the command line. */

export const GOOD_POLICY = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: default}
spec:
  podSelector: {matchLabels: {role: web}}
  policyTypes: [Ingress]
  ingress:
    - from: [{ipBlock: {cidr: 10.0.0.0/8}}]
      ports: [{protocol: TCP, port: 443}]
`;

export const INVENTORY = `apiVersion: wardline.io/v1
kind: Host
metadata: {name: here, labels: {role: web}}
spec: {addresses: [10.9.0.1, "fd00::1"]}
`;

/** A misspelt field on line 7. */
export const BAD_POLICY = GOOD_POLICY.replace("  ingress:", "  ingres:");

/** The good policy allows 443 from 10.0.0.0/8. */
export const FAILING_TEST = `apiVersion: wardline.io/v1
kind: PolicyTest
metadata: {name: closed}
spec:
  tests:
    - {from: any, to: {hosts: {}}, ports: [{port: 443}], expect: deny}
`;
