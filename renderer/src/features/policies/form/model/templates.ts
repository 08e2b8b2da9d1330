/** What a new policy can begin with. Each reads without problems and says in a comment what it does. */

export interface Template {
  readonly id: string;
  readonly title: string;
  readonly detail: string;
  readonly text: string;
}

export const TEMPLATES: readonly Template[] = [
  {
    id: "allow",
    title: "Allow one to another",
    detail: "The application may reach the database on one port; nobody else may.",
    text: `# Only the application reaches the database.
apiVersion: wardline.io/v1
kind: Policy
metadata:
  name: app-to-database
spec:
  description: The application may reach the database, and nobody else.
  subject:
    selector:
      matchLabels:
        app: db
  ingress:
    - name: from the application
      from:
        - selector:
            matchLabels:
              app: web
      ports:
        - protocol: TCP
          port: 5432
`,
  },
  {
    id: "deny",
    title: "Deny all, keep DNS and SSH",
    detail: "Closes both directions for the hosts it selects; names still resolve and SSH from the office still works.",
    text: `# Closes everything but what is needed to work on the host.
apiVersion: wardline.io/v1
kind: Policy
metadata:
  name: deny-but-dns-and-ssh
spec:
  description: Everything is denied in both directions, apart from DNS and SSH from the office.
  mode: observe
  subject:
    hosts:
      matchLabels:
        app: web
  isolate: [ingress, egress]
  ingress:
    - name: ssh from the office
      from:
        - ipBlock:
            cidr: 192.0.2.0/24
      ports:
        - protocol: TCP
          port: 22
  egress:
    - name: dns
      ports:
        - protocol: UDP
          port: 53
        - protocol: TCP
          port: 53
`,
  },
  {
    id: "isolate",
    title: "Isolate a host",
    detail: "Denies everything to and from one host before any other policy is asked, until a moment that you choose.",
    text: `# Nothing reaches this host, and it reaches nothing.
apiVersion: wardline.io/v1
kind: Policy
metadata:
  name: isolate-host
spec:
  description: The host is under suspicion.
  tier: admin
  priority: 10
  mode: observe
  subject:
    hosts:
      matchLabels:
        quarantine: "true"
  ingress:
    - name: nobody reaches it
      action: deny
  egress:
    - name: it reaches nobody
      action: deny
`,
  },
  {
    id: "kubernetes",
    title: "Kubernetes NetworkPolicy",
    detail: "The same format as in a cluster: who may connect to a group of hosts or workloads.",
    text: `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: web-from-inside
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
`,
  },
  {
    id: "host",
    title: "A host",
    detail: "A machine with its labels and addresses, so that policies can name it by label.",
    text: `apiVersion: wardline.io/v1
kind: Host
metadata:
  name: db-1
  labels:
    app: db
spec:
  addresses: [192.0.2.10]
`,
  },
  {
    id: "service",
    title: "A service",
    detail: "A name for a group of hosts, addresses or domain names with the ports they listen on.",
    text: `apiVersion: wardline.io/v1
kind: Service
metadata:
  name: database
spec:
  selector:
    matchLabels:
      app: db
  ports:
    - name: postgres
      port: 5432
`,
  },
  {
    id: "test",
    title: "A test of the policies",
    detail: "What must hold whatever the policies say; it is proved before anything is applied.",
    text: `apiVersion: wardline.io/v1
kind: PolicyTest
metadata:
  name: database-is-closed
spec:
  tests:
    - from:
        entity: world
      to:
        selector:
          matchLabels:
            app: db
      expect: deny
      because: Nobody from outside talks to the database.
`,
  },
];

/** `metadata.name` of a template, with a number when the name is taken. */
export function namedTemplate({ text }: Template, isTaken: (name: string) => boolean): string {
  const name = /^ {2}name: (\S+)$/m.exec(text)?.[1] ?? "new";
  let free = name;
  for (let number = 2; isTaken(free); number += 1) free = `${name}-${number}`;
  return text.replace(/^ {2}name: \S+$/m, `  name: ${free}`);
}
