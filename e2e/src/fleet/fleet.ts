/**
 * A fleet of real hosts on one machine: each has its own network, mount, host name and control group namespaces, its own
 * sshd with users and groups, and its own agent with eBPF on its own subtree. Nothing outside of them is contacted, and no file
 * of the machine is written but below /run/wardline-fleet.
 */
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { kernelLabProblem, readBpfObject } from "@wardline/helper/testing/kernelLab";
import { ACCOUNTS, type Account } from "./accounts.ts";
import { consoleAddress, type DualAddress, hostAddress } from "./addresses.ts";
import { type Claim, claimPlace, releasePlace } from "./claim.ts";
import { ConsoleHome } from "./console-home.ts";
import { FleetHost, type FleetHostSpec, makePrivateDirectory } from "./fleet-host.ts";
import { stageHostFiles } from "./host-files.ts";
import { type KeyPair, makeKey } from "./keys.ts";
import { fleetCgroup, hostNamespace } from "./names.ts";
import { makeNetwork } from "./network.ts";
import { startOutside } from "./outside.ts";

export interface FleetOptions {
  readonly hosts: readonly FleetHostSpec[];
  /** Whether the hosts reach something that stands in for the internet; `false` unless given. */
  readonly hasOutside?: boolean;
}

const PROGRAMS = ["/usr/sbin/sshd", "/usr/bin/ssh", "/usr/bin/ssh-keygen", "/usr/bin/sudo", "/usr/bin/setpriv"];

/** Why a fleet cannot be started here, or `null`. For `describe.skipIf`; put it into the name. */
export function fleetProblem(): string | null {
  const problem = kernelLabProblem();
  if (problem !== null) return problem;
  const missing = PROGRAMS.find((path) => !existsSync(path));
  return missing === undefined ? null : `needs ${missing}`;
}

export class Fleet {
  readonly hosts: readonly FleetHost[];
  /** SSH configuration, known hosts and keys of a person at a console. */
  readonly home: ConsoleHome;
  /** Of consoles, as the hosts see them. */
  readonly consoleAddress: DualAddress;
  readonly directory: string;
  readonly #claim: Claim;
  #isClosed = false;

  private constructor(claim: Claim, hosts: readonly FleetHost[], home: ConsoleHome) {
    this.#claim = claim;
    this.directory = claim.directory;
    this.hosts = hosts;
    this.home = home;
    this.consoleAddress = consoleAddress(claim.slot);
  }

  /** Everything answers when it resolves; when it rejects, nothing is left. */
  static async start({ hosts: specs, hasOutside = false }: FleetOptions): Promise<Fleet> {
    readBpfObject();
    const claim = await claimPlace();
    try {
      const fleet = await Fleet.#build(claim, specs);
      if (hasOutside) await startOutside(claim.slot, specs.length);
      return fleet;
    } catch (error) {
      await releasePlace(claim);
      throw error;
    }
  }

  static async #build(claim: Claim, specs: readonly FleetHostSpec[]): Promise<Fleet> {
    const { slot, directory } = claim;
    mkdirSync(fleetCgroup(slot));
    const keysDirectory = makePrivateDirectory(join(directory, "console", ".ssh"));
    const makeAccountKeys = ACCOUNTS.map(
      async (account) => [account, await makeKey(join(keysDirectory, `id_${account}`))] as const,
    );
    const makeHostKeys = specs.map(({ name }) =>
      makeKey(join(makePrivateDirectory(join(directory, "hosts", name)), "host-key")),
    );
    const [accountKeys, hostKeys] = await Promise.all([
      Promise.all(makeAccountKeys),
      Promise.all(makeHostKeys),
      makeNetwork(slot, specs.length),
    ]);
    const keys = Object.fromEntries(accountKeys) as Record<Account, KeyPair>;
    const hosts = specs.map((spec, index) => {
      const hostKey = hostKeys[index];
      if (!hostKey) throw new Error("a host without a key");
      return makeHost(claim, spec, index, hostKey);
    });
    const home = new ConsoleHome(join(directory, "console"), hosts, keys);
    const authorizedKeys = Object.fromEntries(
      accountKeys.map(([account, { publicText }]) => [account, `${publicText}\n`]),
    );
    await startAll(hosts, authorizedKeys);
    home.write();
    return new Fleet(claim, hosts, home);
  }

  host(name: string): FleetHost {
    const found = this.hosts.find((host) => host.name === name);
    if (!found) throw new Error(`no host ${name}`);
    return found;
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await Promise.all(this.hosts.map((host) => host.stop()));
    await releasePlace(this.#claim);
  }
}

function makeHost({ slot, directory }: Claim, spec: FleetHostSpec, index: number, hostKey: KeyPair): FleetHost {
  const place = {
    slot,
    index,
    namespace: `/run/netns/${hostNamespace(slot, index)}`,
    cgroup: join(fleetCgroup(slot), spec.name),
    directory: join(directory, "hosts", spec.name),
    address: hostAddress(slot, index),
  };
  return new FleetHost(spec, place, hostKey);
}

async function startAll(hosts: readonly FleetHost[], authorizedKeys: Record<string, string>): Promise<void> {
  const starts = hosts.map((host) => {
    const staged = join(host.place.directory, "staged");
    mkdirSync(staged);
    stageHostFiles(staged, host.spec, { authorizedKeys, hostKey: host.hostKey.privateText }, hosts);
    return host.start(staged);
  });
  const outcomes = await Promise.allSettled(starts);
  const failed = outcomes.find((outcome) => outcome.status === "rejected");
  if (!failed) return;
  await Promise.all(hosts.map((host) => host.stop()));
  throw failed.reason;
}
