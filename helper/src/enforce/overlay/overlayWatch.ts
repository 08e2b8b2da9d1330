/**
 * Finds the interface of the overlay and tells the datapath. Which node this host is, the mesh daemon says; which interface
 * carries that node's address, the kernel. Only where the two agree does an address of the overlay say whose key it is.
 *
 * Whatever goes wrong ends with no interface, and so with every packet from such an address dropped: never with one too many.
 */
import { readFileSync } from "node:fs";
import { type MeshObservation, MeshProvider, MeshProviderState } from "@wardline/api/wardline/v1/mesh";
import { canonicalMeshKey, yggdrasilAddressBytes } from "@wardline/domain/mesh";
import type { Enforcer, OverlayInterface } from "../enforcer.ts";

/** A daemon that was restarted makes its interface anew; its packets are dropped for as long as nobody looks. */
const INTERVAL_MS = 250;

/** What the daemon says of its node. */
export interface OverlayClaim {
  /** 64 hex digits. */
  readonly key: string;
  /** Of the tunnel; empty = it does not say. */
  readonly interfaceName: string;
}

export interface OverlayWatchPorts {
  readonly enforcer: Pick<Enforcer, "setOverlay" | "heldOverlay">;
  /** The text of /proc/net/if_inet6; injected by tests, which guard another namespace. */
  readonly readAddresses?: () => string;
  /** Called when that changes: a sentence about what is in the way; `null` = nothing. */
  readonly onProblem?: (problem: string | null) => void;
}

interface AddressLine extends OverlayInterface {
  /** 32 hex digits. */
  readonly address: string;
}

/** Lines of /proc/net/if_inet6: address, index, prefix length, scope and flags in hexadecimal, and the interface's name. */
function parseAddressLines(text: string): readonly AddressLine[] {
  return text.split("\n").flatMap((line) => {
    const [, address = "", index = "", name = ""] =
      /^([0-9a-f]{32}) ([0-9a-f]+) (?:[0-9a-f]+ ){3}\s*(\S+)$/.exec(line) ?? [];
    return address === "" ? [] : [{ address, index: Number.parseInt(index, 16), name }];
  });
}

/** The interface of a node, by the kernel's list of addresses; `null` when none or several carry the node's address. */
export function findOverlayInterface(text: string, { key, interfaceName }: OverlayClaim): OverlayInterface | null {
  const own = yggdrasilAddressBytes(key);
  if (own === null) return null;
  const address = Buffer.from(own).toString("hex");
  const found = parseAddressLines(text).filter((line) => {
    return line.address === address && (interfaceName === "" || line.name === interfaceName);
  });
  const [only] = found;
  return only !== undefined && found.length === 1 ? { name: only.name, index: only.index } : null;
}

/** What the running daemon says in an observation; `null` when none runs, or none that names its key. */
export function overlayClaim(observation: MeshObservation): OverlayClaim | null {
  const report = observation.providers.find(({ provider, state }) => {
    return provider === MeshProvider.YGGDRASIL && state === MeshProviderState.UP;
  });
  const key = canonicalMeshKey(report?.self?.key ?? "");
  return report === undefined || key === null ? null : { key, interfaceName: report.interfaceName };
}

export class OverlayWatch {
  readonly #ports: OverlayWatchPorts;
  readonly #readAddresses: () => string;
  #claim: OverlayClaim | null = null;
  #held: OverlayInterface | null = null;
  #timer: NodeJS.Timeout | null = null;
  #problem: string | null = null;

  constructor(ports: OverlayWatchPorts) {
    this.#ports = ports;
    this.#readAddresses = ports.readAddresses ?? (() => readFileSync("/proc/self/net/if_inet6", "utf8"));
    this.#dropStale();
  }

  /** `null` = no overlay is known. */
  get interface(): OverlayInterface | null {
    return this.#held;
  }

  /**
   * To be told whenever the daemon was asked. `null` (it does not answer) changes nothing: a daemon that hangs keeps its
   * interface and its key, and one that ended takes its interface with it.
   */
  learn(claim: OverlayClaim | null): void {
    if (claim === null) return;
    const isNews = claim.key !== this.#claim?.key || claim.interfaceName !== this.#claim.interfaceName;
    this.#claim = claim;
    this.#timer ??= setInterval(() => this.refresh(), INTERVAL_MS).unref();
    if (isNews) this.refresh();
  }

  /** Looks for the interface now. Runs four times a second by itself once a node is known. */
  refresh(): void {
    if (this.#claim === null) return;
    try {
      const found = findOverlayInterface(this.#readAddresses(), this.#claim);
      if (found?.index !== this.#held?.index || found?.name !== this.#held?.name) this.#set(found);
      const { interfaceName } = this.#claim;
      const isMissing = found === null && interfaceName !== "";
      this.#tell(
        isMissing
          ? `Packets of the mesh are dropped where policies are enforced: ${interfaceName} does not carry the address of the daemon's key.`
          : null,
      );
    } catch (error) {
      this.#tell(`The mesh's interface could not be told to the datapath: ${reasonOf(error)}`);
    }
  }

  /** Enforcement stays as it is: an agent that comes next looks again. */
  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  #set(overlay: OverlayInterface | null): void {
    this.#ports.enforcer.setOverlay?.(overlay);
    this.#held = overlay;
  }

  /** What an agent before this one held is good until the daemon was asked, but not once its interface has gone. */
  #dropStale(): void {
    const held = this.#ports.enforcer.heldOverlay?.() ?? null;
    if (held === null) return;
    try {
      const line = parseAddressLines(this.#readAddresses()).find(({ address, index, name }) => {
        return address.startsWith("02") && index === (held.index ?? index) && name === (held.name ?? name);
      });
      this.#held = line === undefined ? null : { name: line.name, index: line.index };
      if (this.#held === null) this.#ports.enforcer.setOverlay?.(null);
    } catch (error) {
      this.#tell(`The mesh's interface could not be looked for: ${reasonOf(error)}`);
    }
  }

  #tell(problem: string | null): void {
    if (problem === this.#problem) return;
    this.#problem = problem;
    this.#ports.onProblem?.(problem);
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
