/** Policy files as people write them, for measuring how they are read. The same size gives the same files. */
import type { SourceFile } from "@wardline/domain/policy";

const DOCUMENTS_PER_FILE = 200;
const GROUPS = 300;

export interface DocumentCounts {
  readonly policies: number;
  readonly hosts: number;
}

export function makePolicyFiles({ policies, hosts }: DocumentCounts): SourceFile[] {
  const policyTexts = Array.from({ length: policies }, (_, index) => policyText(index));
  const hostTexts = Array.from({ length: hosts }, (_, index) => hostText(index));
  return [...inFiles("policies", policyTexts), ...inFiles("hosts", hostTexts)];
}

function inFiles(name: string, documents: readonly string[]): SourceFile[] {
  const files: SourceFile[] = [];
  for (let start = 0; start < documents.length; start += DOCUMENTS_PER_FILE) {
    const text = documents.slice(start, start + DOCUMENTS_PER_FILE).join("---\n");
    files.push({ path: `${name}-${start / DOCUMENTS_PER_FILE}.yaml`, text });
  }
  return files;
}

/** 31 lines: selectors, an address block with an exception, port numbers, a comment. No two allow the same. */
function policyText(index: number): string {
  const network = `${172}.${16 + (index % 16)}`;
  return `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: policy-${index}
  labels:
    team: team-${index % 20}
spec:
  podSelector:
    matchLabels:
      app: app-${index % GROUPS}
  policyTypes: [Ingress, Egress]
  ingress:
    # the callers, and the office
    - from:
        - podSelector:
            matchLabels:
              app: app-${(index * 7 + 1) % GROUPS}
        - ipBlock:
            cidr: ${network}.0.0/16
            except:
              - ${network}.1.0/24
      ports:
        - protocol: TCP
          port: ${1000 + Math.floor(index / GROUPS)}
  egress:
    - to:
        - podSelector:
            matchLabels: { app: app-${(index * 11 + 2) % GROUPS} }
      ports:
        - protocol: UDP
          port: ${2000 + Math.floor(index / GROUPS)}
`;
}

function hostText(index: number): string {
  return `apiVersion: wardline.io/v1
kind: Host
metadata:
  name: host-${index}
  labels: { app: app-${index % GROUPS}, stage: "live" }
spec:
  addresses: [10.0.${index >> 8}.${index & 255}]
  ports: [{ name: https, port: 443 }]
`;
}
