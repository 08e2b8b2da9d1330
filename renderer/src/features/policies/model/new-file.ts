import type { ConsoleConnection } from "../../../data/console-connection.ts";

const NEW_POLICY = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: new-policy
spec:
  podSelector:
    matchLabels:
      app: web
  policyTypes: [Ingress]
  ingress:
    - from:
        - ipBlock:
            cidr: 10.0.0.0/8
      ports:
        - protocol: TCP
          port: 443
`;

/** Makes a small policy under a name that is free and returns its path. Throws what the backend refused with. */
export async function createPolicyFile(connection: ConsoleConnection): Promise<string> {
  const files = connection.workspace.getState().value?.files ?? [];
  let number = 1;
  while (files.some((file) => file.path === `policies/new-policy-${number}.yaml`)) number += 1;
  const path = `policies/new-policy-${number}.yaml`;
  const text = NEW_POLICY.replace("new-policy", `new-policy-${number}`);
  await connection.policies.saveFile({ path, text, baseRevision: 0n });
  return path;
}
