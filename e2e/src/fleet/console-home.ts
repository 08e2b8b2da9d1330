/** The SSH side of a person at a console: configuration, known hosts and a key for each account. */
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Account } from "./accounts.ts";
import type { FleetHost } from "./fleet-host.ts";
import type { KeyPair } from "./keys.ts";

export class ConsoleHome {
  /** `HOME` of the person. */
  readonly directory: string;
  readonly keys: Readonly<Record<Account, KeyPair>>;
  readonly #hosts: readonly FleetHost[];

  constructor(directory: string, hosts: readonly FleetHost[], keys: Readonly<Record<Account, KeyPair>>) {
    this.directory = directory;
    this.#hosts = hosts;
    this.keys = keys;
  }

  get configPath(): string {
    return join(this.directory, ".ssh", "config");
  }

  get knownHostsPath(): string {
    return join(this.directory, ".ssh", "known_hosts");
  }

  /** Writes `config` and `known_hosts` as they are right now. @param account that `ssh NAME` logs in as */
  write(account: Account = "operator"): void {
    mkdirSync(join(this.directory, ".ssh"), { recursive: true, mode: 0o700 });
    const blocks = this.#hosts.map(
      ({ name, address }) => `Host ${name}
  HostName ${address[4]}
  User ${account}
  IdentityFile ${join(this.directory, ".ssh", "id_%r")}
  IdentitiesOnly yes
`,
    );
    const common = `Host *
  UserKnownHostsFile ${this.knownHostsPath}
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
`;
    writeFileSync(this.configPath, [...blocks, common].join("\n"));
    chmodSync(this.configPath, 0o600);
    this.trustAll();
  }

  /** Writes the keys that the hosts show now into `known_hosts`. */
  trustAll(): void {
    const lines = this.#hosts.map(({ address, hostKey }) => `${address[4]},${address[6]} ${hostKey.publicText}`);
    writeFileSync(this.knownHostsPath, `${lines.join("\n")}\n`, { mode: 0o600 });
  }

  /** As on the first day. */
  trustNobody(): void {
    writeFileSync(this.knownHostsPath, "", { mode: 0o600 });
  }

  /** Arguments of `ssh` for a host. */
  sshArguments(host: FleetHost, account: Account): string[] {
    const identity = ["-i", this.keys[account].path, "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"];
    return ["-F", this.configPath, ...identity, `${account}@${host.name}`];
  }
}
