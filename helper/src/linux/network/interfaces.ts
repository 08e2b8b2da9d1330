/**
 * The interfaces of one network namespace. From rtnetlink and not from /sys/class/net: that shows the namespace in which
 * /sys was mounted, whatever namespace the reader is in.
 */
import { findAttribute, findNested, textOf } from "../netfilter/attributes.ts";
import { LinkChanges, RouteQuestions } from "./routeSocket.ts";

const RTM_GETLINK = 18;
/** `struct ifinfomsg`. */
const INFO_BYTES = 16;
const IFF_LOOPBACK = 0x8;
const IFLA = { name: 3, master: 10, linkInfo: 18, extensionMask: 29, linkNamespaceId: 37, xdp: 43 } as const;
const IFLA_INFO = { kind: 1, portKind: 4 } as const;
const IFLA_XDP_ATTACHED = 2;
/** Leaves the interface's counters out of the answer. */
const RTEXT_FILTER_SKIP_STATS = 8;

export interface NetworkInterface {
  readonly index: number;
  readonly name: string;
  /** ARPHRD_* of <linux/if_arp.h>: 1 = Ethernet. */
  readonly hardwareType: number;
  readonly isLoopback: boolean;
  /** `veth`, `bridge`, `tun`, …; empty for hardware. */
  readonly kind: string;
  /** Index of the bridge, bond or VRF that it is a port of; 0 = none. */
  readonly master: number;
  /** What kind of port: `bridge`, `bond`, `vrf`, …; empty when it is none. */
  readonly portKind: string;
  /** Its other end (veth) or its lower device lies in another network namespace. */
  readonly crossesNamespace: boolean;
  /** How an XDP program runs on it. */
  readonly xdp: "none" | "native" | "generic" | "hardware";
}

const XDP_MODES = ["none", "native", "generic", "hardware"] as const;

/** One answer to RTM_GETLINK; `null` when it is not about an interface as such (bridges send some of their own). */
export function parseLink(payload: Buffer): NetworkInterface | null {
  if (payload.length < INFO_BYTES || payload.readUInt8(0) !== 0) return null;
  const attributes = payload.subarray(INFO_BYTES);
  const master = findAttribute(attributes, IFLA.master);
  const xdp = findNested(attributes, IFLA.xdp, IFLA_XDP_ATTACHED);
  return {
    index: payload.readInt32LE(4),
    name: textOf(findAttribute(attributes, IFLA.name)),
    hardwareType: payload.readUInt16LE(2),
    isLoopback: (payload.readUInt32LE(8) & IFF_LOOPBACK) !== 0,
    kind: textOf(findNested(attributes, IFLA.linkInfo, IFLA_INFO.kind)),
    master: master === null ? 0 : master.readUInt32LE(0),
    portKind: textOf(findNested(attributes, IFLA.linkInfo, IFLA_INFO.portKind)),
    crossesNamespace: findAttribute(attributes, IFLA.linkNamespaceId) !== null,
    xdp: XDP_MODES[xdp?.readUInt8(0) ?? 0] ?? "native",
  };
}

function linkQuestion(): Buffer {
  const body = Buffer.alloc(INFO_BYTES + 8);
  body.writeUInt16LE(8, INFO_BYTES);
  body.writeUInt16LE(IFLA.extensionMask, INFO_BYTES + 2);
  body.writeUInt32LE(RTEXT_FILTER_SKIP_STATS, INFO_BYTES + 4);
  return body;
}

/** Lists the interfaces of a namespace again and again, and says when that is worth it. */
export class InterfaceList {
  readonly #questions: RouteQuestions;
  readonly #changes: LinkChanges;

  /** `networkNamespace` is the path of one; `null` = this process' own. Throws when the kernel gives no sockets. */
  constructor(networkNamespace: string | null) {
    this.#questions = new RouteQuestions(networkNamespace);
    try {
      this.#changes = new LinkChanges(networkNamespace);
    } catch (error) {
      this.#questions.close();
      throw error;
    }
  }

  read(): readonly NetworkInterface[] {
    return this.#questions.list(RTM_GETLINK, linkQuestion()).flatMap((payload) => parseLink(payload) ?? []);
  }

  /** Whether something changed since the last call. Cheap enough to be asked ten times a second. */
  hasChanged(): boolean {
    return this.#changes.happened();
  }

  close(): void {
    this.#questions.close();
    this.#changes.close();
  }
}
