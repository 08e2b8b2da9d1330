/** Keeps the table's set of interfaces that lead into containers up to date. */
import { NFTABLES_INNER_SET } from "@wardline/domain/policy/emit";
import { InterfaceList, type NetworkInterface } from "../../linux/network/interfaces.ts";
import { innerInterfaces } from "../ebpf/edge/interfaceRules.ts";
import type { OwnTable } from "./ownTable.ts";

/** Names that mean nothing to the parser of nft. One that does is left out: its packets are judged twice. */
export const PLAIN_NAME = /^[A-Za-z0-9_.:@-]{1,15}$/;

export class ContainerInterfaces {
  readonly #list: InterfaceList;
  readonly #isInner: (entry: NetworkInterface) => boolean;
  #isBehind = false;

  constructor(networkNamespace: string | null, isInner: (entry: NetworkInterface) => boolean) {
    this.#list = new InterfaceList(networkNamespace);
    this.#isInner = isInner;
  }

  /** Without `always` only when an interface came, went or changed. What fails is tried again the next time. */
  refresh(table: OwnTable, { always = false } = {}): void {
    if (!this.#list.hasChanged() && !always && !this.#isBehind) return;
    this.#isBehind = true;
    const names = this.#names();
    const held = table.reader.elements(NFTABLES_INNER_SET).map(({ key }) => nameOfInterface(key));
    if (names.join() !== held.sort().join()) table.nft.applyNow(table.scripts.setInner(names));
    this.#isBehind = false;
  }

  #names(): readonly string[] {
    const entries = this.#list.read();
    const inner = innerInterfaces(entries, this.#isInner);
    const names = entries
      .filter(({ index, name }) => inner.has(index) && PLAIN_NAME.test(name))
      .map(({ name }) => name);
    return [...new Set(names)].sort();
  }

  close(): void {
    this.#list.close();
  }
}

export function nameOfInterface(key: Buffer): string {
  const end = key.indexOf(0);
  return key.toString("latin1", 0, end === -1 ? key.length : end);
}
