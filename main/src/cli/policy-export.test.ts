import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CliSandbox } from "./testing/run-cli.ts";

const HOSTS = `apiVersion: wardline.io/v1
kind: Host
metadata: {name: web, labels: {app: web}}
spec: {addresses: [192.0.2.10]}
---
apiVersion: wardline.io/v1
kind: Workload
metadata: {name: nginx, labels: {app: nginx}}
spec: {host: web, match: {systemdUnit: nginx.service}}
`;

function networkPolicy(name: string, app: string, port: string): string {
  return `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: ${name}}
spec:
  podSelector: {matchLabels: {app: ${app}}}
  ingress:
    - ports: [${port}]
`;
}

describe("policy export", () => {
  let sandbox: CliSandbox;

  beforeAll(() => {
    sandbox = new CliSandbox();
    writeFileSync(sandbox.path("hosts.yaml"), HOSTS);
    writeFileSync(sandbox.path("web.yaml"), networkPolicy("web", "web", "{port: 443}"));
    writeFileSync(sandbox.path("sctp.yaml"), networkPolicy("sctp", "web", "{protocol: SCTP, port: 5060}"));
    writeFileSync(sandbox.path("nginx.yaml"), networkPolicy("nginx", "nginx", "{port: 80}"));
  });

  afterAll(() => sandbox.dispose());

  const exported = (target: string, ...more: string[]) => [
    "policy",
    "export",
    "--target",
    target,
    "--host",
    "web",
    "hosts.yaml",
    ...more,
  ];

  it("prints the script of a host, and its digest for programs", async () => {
    const nftables = await sandbox.run(exported("nftables", "web.yaml"));
    expect(nftables).toMatchObject({ exitCode: 0, stderr: "" });
    expect(nftables.stdout).toContain("table inet wardline {\n");
    const pf = await sandbox.json(exported("pf", "web.yaml", "--mode", "observe"));
    expect(pf).toMatchObject({ exitCode: 0, value: { target: "pf", refused: [], diagnostics: [] } });
    const { script, digest } = pf.value as { script: string; digest: string };
    expect(script).toContain("pass in log quick from any to any flags any keep state");
    expect(digest).toBe(createHash("sha256").update(script).digest("hex"));
  });

  it("prints nothing and names the policy and its line when the target cannot do it", async () => {
    const text = await sandbox.run(exported("pf", "sctp.yaml"));
    expect(text).toMatchObject({ exitCode: 1, stdout: "" });
    expect(text.stderr).toContain(
      "NetworkPolicy/default/sctp, ingress[0] (sctp.yaml:7): pf cannot compare ports of SCTP.",
    );
    expect((await sandbox.run(exported("nftables", "sctp.yaml"))).exitCode).toBe(0);
    const json = await sandbox.json(exported("nftables", "nginx.yaml"));
    expect(json).toMatchObject({
      exitCode: 1,
      value: {
        script: null,
        digest: null,
        refused: [{ policy: "NetworkPolicy/default/nginx", file: "nginx.yaml" }, {}],
      },
    });
  });

  it("tells problems from wrong usage", async () => {
    const stranger = await sandbox.run(["policy", "export", "--target", "pf", "--host", "wbe", "hosts.yaml"]);
    expect(stranger.exitCode).not.toBe(0);
    expect(stranger.stderr).toContain('No Host document declares "wbe".');
    expect(stranger.stdout).toBe("");
    expect((await sandbox.run(["policy", "export", "--target", "pf", "--host", "web"])).exitCode).toBe(2);
    expect((await sandbox.run(["policy", "export", "--target", "ipf", "--host", "web", "hosts.yaml"])).exitCode).toBe(
      2,
    );
  });
});
