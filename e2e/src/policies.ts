/** Policy texts of the tests. The guarded host is `web-1`; the peer answers on 10.77.0.1. */
import { HOST_ADDRESS, PEER_ADDRESS } from "@wardline/helper/testing/kernelLab";

/** Hosts with `app: <app>` may open TCP connections to the peer on one port, and to nothing else. */
export function egressTo(name: string, app: string, port: number): string {
  return `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: ${name}
spec:
  podSelector:
    matchLabels:
      app: ${app}
  policyTypes: [Egress]
  egress:
    - to:
        - ipBlock:
            cidr: ${PEER_ADDRESS[4]}/32
      ports:
        - protocol: TCP
          port: ${port}
`;
}

export const WEB_TO_DATABASE = egressTo("web-to-database", "web", 5432);

/** The guarded host and its peer, as the console would write them. */
export const HOSTS = `apiVersion: wardline.io/v1
kind: Host
metadata:
  name: web-1
  labels: {app: web}
spec:
  addresses: ["${HOST_ADDRESS[4]}", "${HOST_ADDRESS[6]}"]
---
apiVersion: wardline.io/v1
kind: Host
metadata:
  name: db-1
  labels: {app: db}
spec:
  addresses: ["${PEER_ADDRESS[4]}", "${PEER_ADDRESS[6]}"]
`;
