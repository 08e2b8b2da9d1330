/** What each example policy must do, from its description: probes from the view of one subject. */

export interface Probe {
  /** `to`: the subject opens the connection; `from`: the other end does. */
  readonly direction: "to" | "from";
  /** A host of the inventory, or an address. */
  readonly with: string;
  /** `5432/tcp`, `53/udp`. */
  readonly port: string;
  readonly verdict: "allow" | "deny";
  readonly family?: 6;
}

export interface Fixture {
  /** Below `e2e/fixtures`. */
  readonly file: string;
  /** Host of the inventory whose kernel enforces. */
  readonly subject: string;
  readonly probes: readonly Probe[];
}

const probe =
  (direction: Probe["direction"], verdict: Probe["verdict"]) =>
  (end: string, port: string, family?: 6): Probe => ({
    direction,
    with: end,
    port,
    verdict,
    ...(family === undefined ? {} : { family }),
  });
const canReach = probe("to", "allow");
const cannotReach = probe("to", "deny");
const lets = probe("from", "allow");
const refuses = probe("from", "deny");

const ZTAP: readonly Fixture[] = [
  {
    file: "ztap/web-to-db.yaml",
    subject: "web",
    probes: [
      canReach("db", "5432/tcp"),
      cannotReach("db", "3306/tcp"),
      cannotReach("postgres", "5432/tcp"),
      cannotReach("198.51.100.7", "443/tcp"),
      lets("client", "80/tcp"),
    ],
  },
  {
    file: "ztap/web-to-db.yaml",
    subject: "iot",
    probes: [
      canReach("198.51.100.7", "443/tcp"),
      canReach("8.8.8.8", "53/udp"),
      cannotReach("198.51.100.7", "80/tcp"),
      cannotReach("db", "5432/tcp"),
    ],
  },
  {
    file: "ztap/deny-all.yaml",
    subject: "vault",
    probes: [cannotReach("db", "5432/tcp"), cannotReach("8.8.8.8", "53/udp"), lets("client", "8200/tcp")],
  },
  {
    file: "ztap/deny-all.yaml",
    subject: "isolated",
    probes: [
      canReach("8.8.8.8", "53/udp"),
      cannotReach("8.8.8.8", "53/tcp"),
      cannotReach("198.51.100.7", "53/udp"),
      cannotReach("db", "5432/tcp"),
    ],
  },
  {
    file: "ztap/lateral-movement.yaml",
    subject: "web",
    probes: [
      canReach("api", "8080/tcp"),
      cannotReach("db", "5432/tcp"),
      cannotReach("postgres", "5432/tcp"),
      canReach("198.51.100.7", "443/tcp"),
      canReach("8.8.8.8", "53/udp"),
    ],
  },
  {
    file: "ztap/lateral-movement.yaml",
    subject: "api",
    probes: [canReach("postgres", "5432/tcp"), cannotReach("db", "5432/tcp"), cannotReach("198.51.100.7", "443/tcp")],
  },
  {
    file: "ztap/pci-compliant.yaml",
    subject: "payments",
    probes: [canReach("db", "443/tcp"), cannotReach("db", "5432/tcp"), cannotReach("198.51.100.7", "443/tcp")],
  },
  {
    file: "ztap/microservices.yaml",
    subject: "auth",
    probes: [canReach("user-db", "27017/tcp"), canReach("cache", "6379/tcp"), cannotReach("redis", "6379/tcp")],
  },
  {
    file: "ztap/microservices.yaml",
    subject: "prometheus",
    probes: [canReach("api", "8080/tcp"), canReach("api", "9090/tcp"), cannotReach("198.51.100.7", "9090/tcp")],
  },
  {
    file: "ztap/bidirectional.yaml",
    subject: "web-2",
    probes: [
      canReach("postgres", "5432/tcp"),
      canReach("cache", "6379/tcp"),
      cannotReach("db", "5432/tcp"),
      lets("10.0.0.77", "443/tcp"),
      refuses("client", "443/tcp"),
      refuses("10.0.0.77", "22/tcp"),
    ],
  },
  {
    file: "ztap/bidirectional.yaml",
    subject: "api",
    probes: [
      lets("10.0.0.77", "8080/tcp"),
      lets("172.20.1.1", "8080/tcp"),
      refuses("172.32.1.1", "8080/tcp"),
      canReach("db", "443/tcp"),
      cannotReach("198.51.100.7", "443/tcp"),
    ],
  },
  {
    file: "ztap/ingress-only.yaml",
    subject: "postgres",
    probes: [
      lets("auth", "5432/tcp"),
      lets("10.100.0.9", "5432/tcp"),
      refuses("10.100.1.9", "5432/tcp"),
      refuses("client", "5432/tcp"),
      canReach("client", "8080/tcp"),
    ],
  },
  {
    file: "ztap/ingress-only.yaml",
    subject: "bastion",
    probes: [lets("203.0.113.5", "22/tcp"), refuses("198.51.100.7", "22/tcp"), refuses("203.0.113.5", "80/tcp")],
  },
  {
    file: "ztap/ipv6-dual-stack.yaml",
    subject: "web",
    probes: [
      lets("2001:db8:7::1", "80/tcp", 6),
      refuses("2001:db9::1", "80/tcp", 6),
      lets("10.200.0.1", "80/tcp"),
      refuses("198.51.100.7", "80/tcp"),
      canReach("2001:4860:4860::8888", "53/udp", 6),
      cannotReach("2001:4860:4860::8844", "53/udp", 6),
      cannotReach("db", "5432/tcp"),
    ],
  },
  {
    file: "ztap/native.yaml",
    subject: "web",
    probes: [canReach("db", "5432/tcp"), cannotReach("db", "80/tcp"), refuses("client", "80/tcp")],
  },
  {
    file: "ztap/native.yaml",
    subject: "db",
    probes: [lets("web", "5432/tcp"), refuses("client", "5432/tcp"), cannotReach("web", "80/tcp")],
  },
  {
    file: "ztap/native.yaml",
    subject: "client",
    probes: [canReach("10.96.0.10", "53/udp"), canReach("10.96.0.10", "53/tcp"), cannotReach("8.8.8.8", "53/udp")],
  },
];

const RECIPES: readonly Fixture[] = [
  {
    file: "recipes/deny-all-to-app.yaml",
    subject: "shop",
    probes: [refuses("clerk", "80/tcp"), refuses("198.51.100.7", "80/tcp"), canReach("clerk", "8080/tcp")],
  },
  {
    file: "recipes/limit-to-app.yaml",
    subject: "bookstore-api",
    probes: [
      lets("bookstore-search", "8080/tcp"),
      refuses("inventory-web", "8080/tcp"),
      refuses("monitor", "9100/tcp"),
    ],
  },
  {
    file: "recipes/allow-all-to-app.yaml",
    subject: "shop",
    probes: [lets("clerk", "80/tcp"), lets("198.51.100.7", "8443/tcp")],
  },
  {
    file: "recipes/default-deny-namespace.yaml",
    subject: "shop",
    probes: [refuses("bookstore-api", "80/tcp"), refuses("198.51.100.7", "80/tcp"), canReach("clerk", "80/tcp")],
  },
  {
    file: "recipes/deny-other-namespaces.yaml",
    subject: "directory",
    probes: [lets("clerk", "389/tcp"), refuses("shop", "389/tcp"), refuses("198.51.100.7", "389/tcp")],
  },
  {
    file: "recipes/allow-all-namespaces.yaml",
    subject: "directory",
    probes: [lets("shop", "389/tcp"), lets("clerk", "389/tcp"), refuses("198.51.100.7", "389/tcp")],
  },
  {
    file: "recipes/allow-namespace-by-label.yaml",
    subject: "shop",
    probes: [lets("checkout", "80/tcp"), refuses("clerk", "80/tcp"), refuses("bookstore-api", "80/tcp")],
  },
  {
    file: "recipes/allow-pods-in-other-namespace.yaml",
    subject: "shop",
    probes: [lets("prometheus", "80/tcp"), refuses("jump", "80/tcp"), refuses("monitor", "80/tcp")],
  },
  {
    file: "recipes/allow-external.yaml",
    subject: "shop",
    probes: [lets("198.51.100.7", "80/tcp"), lets("clerk", "80/tcp"), refuses("198.51.100.7", "8080/tcp")],
  },
  {
    file: "recipes/allow-one-port.yaml",
    subject: "bookstore-api",
    probes: [lets("monitor", "9100/tcp"), refuses("monitor", "8080/tcp"), refuses("bookstore-search", "9100/tcp")],
  },
  {
    file: "recipes/multiple-selectors.yaml",
    subject: "bookstore-db",
    probes: [
      lets("bookstore-search", "5432/tcp"),
      lets("bookstore-api", "5432/tcp"),
      lets("inventory-web", "5432/tcp"),
      refuses("worker", "5432/tcp"),
    ],
  },
  {
    file: "recipes/deny-egress.yaml",
    subject: "worker",
    probes: [cannotReach("shop", "80/tcp"), cannotReach("198.51.100.7", "53/udp"), lets("shop", "8080/tcp")],
  },
  {
    file: "recipes/deny-egress-allow-dns.yaml",
    subject: "worker",
    probes: [canReach("198.51.100.7", "53/udp"), canReach("shop", "53/tcp"), cannotReach("shop", "80/tcp")],
  },
  {
    file: "recipes/default-deny-egress.yaml",
    subject: "worker",
    probes: [cannotReach("shop", "80/tcp"), cannotReach("198.51.100.7", "443/tcp"), lets("shop", "8080/tcp")],
  },
  {
    file: "recipes/deny-external-egress.yaml",
    subject: "worker",
    probes: [
      canReach("clerk", "8080/tcp"),
      canReach("198.51.100.7", "53/udp"),
      cannotReach("198.51.100.7", "443/tcp"),
      canReach("shop", "80/tcp", 6),
    ],
  },
  {
    file: "recipes/allow-range-except.yaml",
    subject: "shop",
    probes: [
      lets("198.51.100.7", "8000/tcp"),
      lets("198.51.100.7", "8100/tcp"),
      refuses("198.51.100.7", "8101/tcp"),
      refuses("198.51.100.200", "8000/tcp"),
      lets("2001:db8:100::7", "8050/tcp", 6),
      refuses("2001:db8:200::7", "8050/tcp", 6),
    ],
  },
];

export const FIXTURES: readonly Fixture[] = [...ZTAP, ...RECIPES];
