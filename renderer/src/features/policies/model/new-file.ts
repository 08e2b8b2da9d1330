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
export function createPolicyFile(connection: ConsoleConnection): Promise<string> {
  return createFile(connection, "new-policy", NEW_POLICY, 1);
}

/**
 * Makes a file of this text, or with a number behind its name when that is taken: then the name of the first document gets
 * the number as well. Returns the path. Throws what the backend refused with.
 */
export async function createFile(
  connection: ConsoleConnection,
  name: string,
  text: string,
  firstNumber: number | null = null,
): Promise<string> {
  const taken = new Set((connection.workspace.getState().value?.files ?? []).map((file) => file.path));
  const nameOf = (number: number | null) => (number === null ? name : `${name}-${number}`);
  let number = firstNumber;
  while (taken.has(`policies/${nameOf(number)}.yaml`)) number = (number ?? 1) + 1;
  const path = `policies/${nameOf(number)}.yaml`;
  const suffix = number === null ? "" : `-${number}`;
  const numbered = text.replace(
    /^( {2}name: )([a-z0-9.-]+)$/m,
    (_line, key: string, own: string) => key + own + suffix,
  );
  await connection.policies.saveFile({ path, text: numbered, baseRevision: 0n });
  return path;
}
