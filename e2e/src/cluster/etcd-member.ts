/** An etcd member on a test machine: its unit, its certificate of the cluster's own authority, and its end. */
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import type { Client } from "@connectrpc/connect";
import type { ClusterService } from "@wardline/api/wardline/agent/v1/cluster";
import { Authority } from "@wardline/helper/identity/authority";
import { IdentityStore } from "@wardline/helper/identity/identityStore";
import type { FleetHost } from "../fleet/fleet-host.ts";

export const ETCD_UNIT = "etcd.service";
const CERTIFICATE_DIRECTORY = "/etc/etcd-tls";
const DATA_DIRECTORY = "/var/lib/etcd-fleet";
const CLIENT_PORT = 2379;
const PEER_PORT = 2380;
const HEARTBEAT_MS = 100;
const ELECTION_MS = 1000;
const HOUR_MS = 3_600_000;
const CERTIFICATE_LASTS_MS = 24 * HOUR_MS;
const PROGRAM = ["/usr/bin/etcd", "/usr/local/bin/etcd"].find((path) => existsSync(path));

/** Why no etcd can run on a test machine, or `null`. */
export function etcdProblem(): string | null {
  return PROGRAM === undefined ? "needs etcd" : null;
}

export const clientUrl = ({ address }: FleetHost): string => `https://${address[4]}:${CLIENT_PORT}`;
const peerUrl = ({ address }: FleetHost): string => `https://${address[4]}:${PEER_PORT}`;

/** What a person does with `wardline cluster certificate`, for one server. */
export async function putCertificate(host: FleetHost, cluster: Client<typeof ClusterService>): Promise<void> {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const issued = await cluster.issueCertificate({
    ...namesOf(host),
    publicKey: publicKey.export({ type: "spki", format: "der" }),
    validFor: durationFromMs(CERTIFICATE_LASTS_MS),
  });
  putFiles(host, issued.certificateChainPem, privateKey, issued.bundlePem);
}

/** One that ended a second ago. Nobody issues such: it is made with the authority's key, as the disk of a candidate has it. */
export async function putExpiredCertificate(host: FleetHost, candidate: FleetHost): Promise<void> {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const authority = await authorityOf(candidate);
  const nowMs = Date.now() - HOUR_MS - 1_000;
  const { chainPem } = await authority.issueServer({ ...namesOf(host), publicKey, nowMs, lifeMs: HOUR_MS });
  putFiles(host, chainPem, privateKey, authority.bundlePem);
}

export async function authorityOf(candidate: FleetHost): Promise<Authority> {
  const identities = new IdentityStore(candidate.path("/var/lib/wardline"));
  const [record, sealKey] = await Promise.all([identities.readAuthority(), identities.readSealKey()]);
  if (!record || !sealKey) throw new Error(`${candidate.name} is no candidate`);
  return Authority.open(record, sealKey);
}

const namesOf = ({ name, address }: FleetHost) => ({
  name: `etcd-${name}`,
  dnsNames: [name],
  ipAddresses: [address[4]],
});

function putFiles(host: FleetHost, chainPem: string, privateKey: KeyObject, bundlePem: string): void {
  const directory = host.path(CERTIFICATE_DIRECTORY);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const keyPem = privateKey.export({ type: "pkcs8", format: "pem" });
  for (const [name, text] of [
    ["server.pem", chainPem],
    ["server.key", keyPem],
    ["ca.pem", bundlePem],
  ] as const) {
    writeFileSync(`${directory}/${name}`, text);
    chmodSync(`${directory}/${name}`, 0o600);
  }
}

/** Writes the unit; it is not restarted by itself, so that what a test kills stays dead. */
export function putUnit(host: FleetHost, all: readonly FleetHost[], quotaBytes: number | null): void {
  const file = (name: string) => `${CERTIFICATE_DIRECTORY}/${name}`;
  const words = [
    PROGRAM ?? "",
    ...["--name", host.name, "--data-dir", DATA_DIRECTORY],
    ...["--listen-client-urls", clientUrl(host), "--advertise-client-urls", clientUrl(host)],
    ...["--listen-peer-urls", peerUrl(host), "--initial-advertise-peer-urls", peerUrl(host)],
    ...["--initial-cluster", all.map((each) => `${each.name}=${peerUrl(each)}`).join(",")],
    ...["--heartbeat-interval", String(HEARTBEAT_MS), "--election-timeout", String(ELECTION_MS)],
    ...["--client-cert-auth", "--trusted-ca-file", file("ca.pem")],
    ...["--cert-file", file("server.pem"), "--key-file", file("server.key")],
    ...["--peer-client-cert-auth", "--peer-trusted-ca-file", file("ca.pem")],
    ...["--peer-cert-file", file("server.pem"), "--peer-key-file", file("server.key")],
    ...(quotaBytes === null ? [] : ["--quota-backend-bytes", String(quotaBytes)]),
  ];
  const unit = `[Unit]
Description=etcd of the test fleet

[Service]
ExecStart=${words.map((word) => `"${word}"`).join(" ")}
Restart=no
`;
  writeFileSync(host.path(`/etc/systemd/system/${ETCD_UNIT}`), unit);
}

/** What to run inside the machine for `etcdctl`, as the server itself. */
export function etcdctlLine(host: FleetHost, ...words: readonly string[]): readonly string[] {
  const file = (name: string) => `${CERTIFICATE_DIRECTORY}/${name}`;
  const tls = ["--cacert", file("ca.pem"), "--cert", file("server.pem"), "--key", file("server.key")];
  return ["env", "ETCDCTL_API=3", "etcdctl", "--endpoints", clientUrl(host), "--command-timeout=15s", ...tls, ...words];
}

/** Forgets what was before now; what was forgotten already counts as well. @throws what it says when it fails */
export async function compactHistory(host: FleetHost): Promise<void> {
  const [status] = JSON.parse(await etcdctl(host, "endpoint", "status", "-w", "json"));
  await etcdctl(host, "compact", String(status.Status.header.revision)).catch((error: unknown) => {
    if (!String(error).includes("has been compacted")) throw error;
  });
}

/** @throws what it says when it fails */
export async function etcdctl(host: FleetHost, ...words: readonly string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await host.run(etcdctlLine(host, ...words));
  if (exitCode !== 0) throw new Error(`etcdctl ${words.join(" ")} on ${host.name}: ${stderr}`);
  return stdout;
}
