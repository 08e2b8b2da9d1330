/** What was seen, connection by connection: the evidence that suggestions stand on. */
import { builtinDecision } from "../builtin.ts";
import { sharesHostNetwork } from "../endpoints.ts";
import type { Inventory } from "../model.ts";
import { AddressBook } from "../simulate/address-book.ts";
import type { RecordedFlow } from "../simulate/recorded-flow.ts";

/** Distinct connections that are held; more are counted and left out. */
export const MAX_OBSERVATIONS = 300_000;
const HOUR_MS = 3_600_000;
const MAX_HOURS = 24 * 31;

export interface ObservedEnd {
  readonly address: string;
  /** The endpoint meant; `null` when nobody in the inventory has the address, or several may be meant. */
  readonly key: string | null;
  readonly isShared: boolean;
}

/** All flows that differ only in time, source port and outcome. */
export interface Observation {
  readonly source: ObservedEnd;
  readonly destination: ObservedEnd;
  readonly protocol: number;
  readonly port: number;
  /** Connections that were let through. */
  readonly flows: number;
  readonly denied: number;
  readonly firstSeenMs: number | null;
  readonly lastSeenMs: number | null;
  /** Distinct hours of the clock, at most a month's. */
  readonly hours: number;
}

class Tally implements Observation {
  readonly source: ObservedEnd;
  readonly destination: ObservedEnd;
  readonly protocol: number;
  readonly port: number;
  denied = 0;
  firstSeenMs: number | null = null;
  lastSeenMs: number | null = null;
  readonly #hours = new Set<number>();
  #starts = 0;
  #ends = 0;

  constructor(source: ObservedEnd, destination: ObservedEnd, { protocol, port }: RecordedFlow) {
    this.source = source;
    this.destination = destination;
    this.protocol = protocol;
    this.port = port;
  }

  /** The end of a connection is a record of its own; its start may be one as well. */
  get flows(): number {
    return Math.max(this.#starts, this.#ends);
  }

  get hours(): number {
    return this.#hours.size;
  }

  add({ enforced, kind, timeMs }: RecordedFlow, count: number): void {
    if (enforced === "deny") this.denied += count;
    else if (kind === "end") this.#ends += count;
    else this.#starts += count;
    if (timeMs === null) return;
    if (this.firstSeenMs === null || timeMs < this.firstSeenMs) this.firstSeenMs = timeMs;
    if (this.lastSeenMs === null || timeMs > this.lastSeenMs) this.lastSeenMs = timeMs;
    if (this.#hours.size < MAX_HOURS) this.#hours.add(Math.floor(timeMs / HOUR_MS));
  }
}

export class FlowObserver {
  readonly #book: AddressBook;
  readonly #sharedHosts: ReadonlySet<string>;
  readonly #tallies = new Map<string, Tally>();
  readonly #recorders = new Set<string>();
  #read = 0;
  #withoutVerdict = 0;
  #tooMany = 0;

  constructor(inventory: Inventory) {
    this.#book = new AddressBook(inventory);
    this.#sharedHosts = new Set(
      inventory.endpoints.filter(sharesHostNetwork).map(({ hostName }) => `Host/${hostName}`),
    );
  }

  /** `count`: so many flows that differ in nothing that counts here. */
  add(flow: RecordedFlow, count = 1): void {
    this.#read += count;
    if (flow.enforced === null) {
      this.#withoutVerdict += count;
      return;
    }
    const source = this.#end(flow, flow.direction === "egress", flow.sourceAddress);
    const destination = this.#end(flow, flow.direction === "ingress", flow.destinationAddress);
    const names = [source.key ?? "", source.address, destination.key ?? "", destination.address];
    const key = `${names.join(" ")} ${flow.protocol} ${flow.port}`;
    let tally = this.#tallies.get(key);
    if (!tally) {
      if (this.#tallies.size >= MAX_OBSERVATIONS) {
        this.#tooMany += count;
        return;
      }
      tally = new Tally(source, destination, flow);
      this.#tallies.set(key, tally);
    }
    tally.add(flow, count);
    const recorder = flow.direction === "egress" ? source.key : flow.direction === "ingress" ? destination.key : null;
    if (recorder !== null) this.#recorders.add(recorder);
  }

  get observations(): readonly Observation[] {
    return [...this.#tallies.values()];
  }

  /** Endpoints whose own host recorded flows: all that they do is known, not only what others saw of them. */
  get recorders(): ReadonlySet<string> {
    return this.#recorders;
  }

  get counts(): { readonly read: number; readonly withoutVerdict: number; readonly tooMany: number } {
    return { read: this.#read, withoutVerdict: this.#withoutVerdict, tooMany: this.#tooMany };
  }

  #end(flow: RecordedFlow, isRecorder: boolean, address: string): ObservedEnd {
    const owners = this.#book.behind(address).filter((endpoint) => !sharesHostNetwork(endpoint));
    const isShared = owners.length > 1 || owners.some(({ key }) => this.#sharedHosts.has(key));
    if (isRecorder && this.#book.endpoint(flow.subjectKey)) return { address, key: flow.subjectKey, isShared };
    return { address, key: isShared ? null : (owners[0]?.key ?? null), isShared };
  }
}

/** Whether the datapath lets it through before any policy is asked. */
export function isEssential({ source, destination, protocol, port }: Observation): boolean {
  const seenBySource = builtinDecision({ remote: destination.address, local: source.address, protocol, port });
  return seenBySource !== null || builtinDecision({ remote: source.address, local: null, protocol, port }) !== null;
}
