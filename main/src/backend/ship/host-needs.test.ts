import { PROTOCOL } from "@wardline/domain/policy";
import { describe, expect, it } from "vitest";
import type { ManagedHost } from "../hosts/managed-host.ts";
import { createHostNeedsSource } from "./host-needs.ts";

function needs(files: Readonly<Record<string, string>>, environment: Readonly<Record<string, string>>, local = true) {
  const host = { id: "h", local, connection: { hostName: "web-1" } } as unknown as ManagedHost;
  return createHostNeedsSource({ environment, readText: (path) => files[path] ?? null })(host);
}

describe("host needs", () => {
  it("are the SSH session and the name servers of this machine", () => {
    const resolver =
      "# written by hand\nnameserver 192.0.2.53\nnameserver\t2001:DB8::53\nnameserver bad\nsearch example.org\n";
    expect(needs({ "/etc/resolv.conf": resolver }, { SSH_CONNECTION: "198.51.100.7 50000 192.0.2.10 2222" })).toEqual({
      hostName: "web-1",
      connections: [
        { purpose: "console", direction: "ingress", remotes: ["198.51.100.7"], protocol: PROTOCOL.tcp, port: 2222 },
        {
          purpose: "dns",
          direction: "egress",
          remotes: ["192.0.2.53", "2001:db8::53"],
          protocol: PROTOCOL.udp,
          port: 53,
        },
      ],
    });
  });

  it("are asked behind systemd-resolved", () => {
    const files = {
      "/etc/resolv.conf": "nameserver 127.0.0.53\n",
      "/run/systemd/resolve/resolv.conf": "nameserver 203.0.113.53\n",
    };
    expect(needs(files, {}).connections.flatMap(({ remotes }) => remotes)).toEqual(["203.0.113.53"]);
  });

  it.each(["", "198.51.100.7", "host 1 2 3", "198.51.100.7 1 192.0.2.1 99999"])(
    "hold no SSH session for %j",
    (connection) => {
      expect(needs({}, { SSH_CONNECTION: connection }).connections).toEqual([]);
    },
  );

  it("are unknown of other hosts", () => {
    const files = { "/etc/resolv.conf": "nameserver 192.0.2.53\n" };
    expect(needs(files, { SSH_CONNECTION: "198.51.100.7 50000 192.0.2.10 22" }, false).connections).toEqual([]);
  });

  it("of another machine are the connection of this console, as it sees it", () => {
    const host = { id: "h", local: false, connection: { hostName: "web-1" } } as unknown as ManagedHost;
    const facts = {
      environment: { SSH_CONNECTION: "198.51.100.7 1 192.0.2.1 22" },
      readText: () => "nameserver 192.0.2.53",
    };
    const origins = new Map([["h", { clientAddress: "203.0.113.9", serverPort: 2222 }]]);
    expect(createHostNeedsSource(facts, (id) => origins.get(id) ?? null)(host).connections).toEqual([
      { purpose: "console", direction: "ingress", remotes: ["203.0.113.9"], protocol: PROTOCOL.tcp, port: 2222 },
    ]);
    expect(createHostNeedsSource(facts)(host).connections).toEqual([]);
  });
});
