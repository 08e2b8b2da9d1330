/** A Yggdrasil node on a test machine: configuration and unit as Debian's package has them, with a TUN of its own. */
import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { standStill } from "@wardline/domain/testing/machine";
import type { FleetHost } from "../fleet/fleet-host.ts";

export const YGGDRASIL_UNIT = "yggdrasil.service";
/** As a path from outside: /var/run is a link that would lead into this machine. */
export const YGGDRASIL_SOCKET = "/run/yggdrasil/yggdrasil.sock";
export const YGGDRASIL_CONFIG = "/etc/yggdrasil/yggdrasil.conf";
export const YGGDRASIL_INTERFACE = "ygg0";
export const MESH_PORT = 12345;
const PROGRAM = ["/usr/sbin/yggdrasil", "/usr/bin/yggdrasil"].find((path) => existsSync(path));

/** Why no Yggdrasil can run on a test machine, or `null`. */
export function yggdrasilProblem(): string | null {
  if (PROGRAM === undefined) return "needs yggdrasil";
  return existsSync("/dev/net/tun") ? null : "needs /dev/net/tun";
}

/** What others dial. */
export const meshUri = ({ address }: FleetHost): string => `tcp://${address[4]}:${MESH_PORT}`;

export interface MeshIdentity {
  readonly publicKey: string;
  readonly privateKey: string;
}

export function newMeshIdentity(): MeshIdentity {
  const config = JSON.parse(execFileSync(PROGRAM ?? "", ["-genconf", "-json"], { encoding: "utf8" })) as {
    readonly PublicKey: string;
    readonly PrivateKey: string;
  };
  return { publicKey: config.PublicKey, privateKey: config.PrivateKey };
}

export interface MeshMemberOptions {
  readonly identity: MeshIdentity;
  /** Whom it dials. */
  readonly peers: readonly FleetHost[];
  /** `no` unless given, so that what a test kills stays dead until it is healed. */
  readonly restart?: "no" | "always";
}

/** Writes configuration and unit. The unit comes without the package's user: a test machine has only its own accounts. */
export function putYggdrasil(host: FleetHost, { identity, peers, restart = "no" }: MeshMemberOptions): void {
  const config = {
    Peers: peers.map(meshUri),
    InterfacePeers: {},
    Listen: [`tcp://0.0.0.0:${MESH_PORT}`],
    AdminListen: `unix:///var${YGGDRASIL_SOCKET}`,
    MulticastInterfaces: [],
    AllowedPublicKeys: [],
    PublicKey: identity.publicKey,
    PrivateKey: identity.privateKey,
    IfName: YGGDRASIL_INTERFACE,
    IfMTU: 65_535,
    NodeInfoPrivacy: true,
    NodeInfo: null,
  };
  const path = host.path(YGGDRASIL_CONFIG);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, JSON.stringify(config, null, 2));
  chmodSync(path, 0o640);
  const unit = `[Unit]
Description=Yggdrasil of the test fleet

[Service]
RuntimeDirectory=yggdrasil
ExecStart="${PROGRAM}" "-useconffile" "${YGGDRASIL_CONFIG}"
Restart=${restart}
RestartSec=1s
TimeoutStopSec=5

[Install]
WantedBy=multi-user.target
`;
  writeFileSync(host.path(`/etc/systemd/system/${YGGDRASIL_UNIT}`), unit);
}

export async function startYggdrasil(host: FleetHost): Promise<void> {
  await host.systemctl("daemon-reload");
  const { exitCode, stderr } = await host.systemctl("start", YGGDRASIL_UNIT);
  if (exitCode !== 0) throw new Error(`yggdrasil of ${host.name}: ${stderr}`);
  await host.socketAnswers(YGGDRASIL_SOCKET);
}

/** @param signal SIGKILL: it is gone; SIGSTOP: it hangs, with its sockets open; SIGCONT: it goes on */
export async function signalYggdrasil(host: FleetHost, signal: NodeJS.Signals): Promise<void> {
  const pid = await host.mainPid(YGGDRASIL_UNIT);
  if (pid === 0) throw new Error(`no yggdrasil runs on ${host.name}`);
  if (signal === "SIGSTOP") await standStill(pid);
  else process.kill(pid, signal);
}

/** The node's address in the overlay, as its interface has it; `null` while it has none. */
export async function overlayAddress(host: FleetHost): Promise<string | null> {
  const { stdout } = await host.run(["ip", "-6", "-o", "addr", "show", "dev", YGGDRASIL_INTERFACE, "scope", "global"]);
  return /inet6 (2[0-9a-f]{2}:[0-9a-f:]+)\//.exec(stdout)?.[1] ?? null;
}
