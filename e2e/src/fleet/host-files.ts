/** What is put into the file system of a test machine before it starts. */
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { ACCOUNTS, accountFiles, accountRow } from "./accounts.ts";
import type { DualAddress } from "./addresses.ts";
import type { FleetHostSpec } from "./fleet-host.ts";
import { CHECKOUT } from "./machine-root.ts";

const SYSTEMCTL_MAIN = join(CHECKOUT, "e2e/src/fleet/machine/systemctl-main.ts");
const MACHINE_DIR = join(CHECKOUT, "e2e/src/fleet/machine");
const PROGRAM = join(CHECKOUT, "bin/wardline");
const COMPILE_CACHE = join(CHECKOUT, ".cache/compile");
export const HOST_KEY_PATH = "etc/ssh/fleet_host_key";
export const AGENT_UNIT = "wardline-agent.service";
export const SSH_UNIT = "ssh.service";

const sshdConfig = ({ hasPasswords = false, sshdLines = [] }: FleetHostSpec): string => `${sshdLines.join("\n")}
Port 22
HostKey /${HOST_KEY_PATH}
PidFile none
AuthorizedKeysFile .ssh/authorized_keys
StrictModes no
UsePAM no
UseDNS no
PrintMotd no
PermitRootLogin prohibit-password
PasswordAuthentication ${hasPasswords ? "yes" : "no"}
KbdInteractiveAuthentication no
AllowStreamLocalForwarding yes
MaxStartups 200:30:400
MaxSessions 64
LogLevel VERBOSE
Subsystem sftp internal-sftp
`;

const SSH_SERVICE = `[Unit]
Description=OpenBSD Secure Shell server of a test machine

[Service]
ExecStart=/usr/sbin/sshd -D -e -f /etc/ssh/fleet_sshd_config
Restart=always
RestartSec=200ms

[Install]
WantedBy=multi-user.target
`;

/** A program of the checkout that runs under another name. */
const wrapper = (...words: readonly string[]): string =>
  `#!/bin/sh\nexport NODE_COMPILE_CACHE='${COMPILE_CACHE}'\nexec '${process.execPath}' --disable-warning=ExperimentalWarning ${words.map((word) => `'${word}'`).join(" ")} "$@"\n`;

/** A unit of {@link FleetHostSpec.services}; `words` as traffic-main.ts reads them. */
export function trafficUnit(description: string, ...words: readonly string[]): string {
  return machineProgramUnit(description, "traffic-main.ts", ...words);
}

/** A unit that runs one of the programs in `machine/`. */
export function machineProgramUnit(description: string, program: string, ...words: readonly string[]): string {
  const command = [process.execPath, "--disable-warning=ExperimentalWarning", join(MACHINE_DIR, program), ...words];
  return `[Unit]
Description=${description}

[Service]
Environment="NODE_COMPILE_CACHE=${COMPILE_CACHE}"
ExecStart=${command.map((word) => `"${word}"`).join(" ")}
Restart=always

[Install]
WantedBy=multi-user.target
`;
}

export interface StagedKeys {
  /** Lines for authorized_keys by account. */
  readonly authorizedKeys: Readonly<Record<string, string>>;
  /** Private half, as ssh-keygen writes it. */
  readonly hostKey: string;
}

export interface Neighbour {
  readonly name: string;
  readonly address: DualAddress;
}

/** Writes everything below `directory`, as it shall be below `/`. */
export function stageHostFiles(
  directory: string,
  spec: FleetHostSpec,
  keys: StagedKeys,
  neighbours: readonly Neighbour[],
): void {
  const put = (path: string, text: string, mode = 0o644): void => {
    const target = join(directory, path);
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, text);
    chmodSync(target, mode);
  };
  const agent = spec.agent ?? "running";
  for (const [name, text] of Object.entries(accountFiles(agent !== "none"))) {
    const mode = name.includes("sudoers") ? 0o440 : name.includes("shadow") ? 0o640 : 0o644;
    put(`etc/${name}`, text, mode);
  }
  put("etc/hostname", `${spec.name}\n`);
  const others = neighbours.map(({ name, address }) => `${address[4]} ${name}\n${address[6]} ${name}\n`);
  put("etc/hosts", `127.0.0.1 localhost\n::1 localhost\n${others.join("")}`);
  put("etc/resolv.conf", "");
  put("etc/ssh/fleet_sshd_config", sshdConfig(spec));
  put(HOST_KEY_PATH, keys.hostKey, 0o600);
  put(`etc/systemd/system/${SSH_UNIT}`, SSH_SERVICE);
  for (const self of ["systemctl", "journalctl"]) put(`usr/bin/${self}`, wrapper(SYSTEMCTL_MAIN, self), 0o755);
  for (const account of ACCOUNTS) stageHome(directory, account, keys.authorizedKeys[account] ?? "");
  for (const [name, text] of Object.entries(spec.services ?? {})) put(`etc/systemd/system/${name}`, text);
  if (agent === "none") return;
  stageAgent(put, spec);
}

function stageAgent(put: (path: string, text: string, mode?: number) => void, spec: FleetHostSpec): void {
  const agent = `#!/bin/sh\nexport WARDLINE_NODE='${process.execPath}'\nexec '${PROGRAM}' agent "$@"\n`;
  put("usr/lib/wardline/wardline-agent", agent, 0o755);
  put(
    `etc/systemd/system/${AGENT_UNIT}`,
    readFileSync(join(CHECKOUT, "assets/systemd/wardline-agent.service"), "utf8"),
  );
  const options = spec.agentOptions ?? [];
  if (options.length === 0) return;
  const command = ["/usr/lib/wardline/wardline-agent", "run", ...options].join(" ");
  put(`etc/systemd/system/${AGENT_UNIT}.d/fleet.conf`, `[Service]\nExecStart=\nExecStart=${command}\n`);
}

function stageHome(directory: string, account: (typeof ACCOUNTS)[number], authorizedKeys: string): void {
  const { userId, home } = accountRow(account);
  const folder = join(directory, home, ".ssh");
  if (!existsSync(folder)) mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "authorized_keys"), authorizedKeys, { mode: 0o600 });
  for (const path of [join(directory, home), folder, join(folder, "authorized_keys")]) chownSync(path, userId, userId);
  chmodSync(join(directory, home), 0o750);
  chmodSync(folder, 0o700);
}
