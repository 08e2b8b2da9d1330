/**
 * A lab in which "far" is a node of an overlay that the host reaches through `eth1`, and "peer" claims that node's address
 * from the host's own network. Any interface can stand for the overlay's: the datapath knows it by what it is told.
 */
import { execFileSync } from "node:child_process";
import { yggdrasilAddress } from "@wardline/domain/mesh";
import type { OverlayInterface } from "../enforce/enforcer.ts";
import { InterfaceList } from "../linux/network/interfaces.ts";
import { EdgeLab, HOST_ADDRESS, inNamespace } from "./edgeLab.ts";

export const FAR_KEY = "6ab7523d02831823e4fe94b1dadedf5ff6345f963ba193fa9a7da9547ed0e73a";
export const HOST_KEY = "51c38aa7a908bf4740dd11243a265a740981827e52dc82f3f283983bf72dbe32";
export const FAR_NODE = yggdrasilAddress(FAR_KEY) ?? "";
export const HOST_NODE = yggdrasilAddress(HOST_KEY) ?? "";

/** Behind the overlay, and nobody's here. */
export const THIRD_NODE = "204:5d90:b16:a18e:19e9:d1af:6345:af6";

export class OverlayLab extends EdgeLab {
  constructor() {
    super();
    const { name } = this.kernel;
    const ip = (side: string, ...words: string[]): void => {
      execFileSync("ip", ["-n", `${name}-${side}`, "-6", ...words], { stdio: ["ignore", "ignore", "inherit"] });
    };
    ip("host", "addr", "add", `${HOST_NODE}/7`, "dev", "eth1", "nodad");
    ip("far", "addr", "add", `${FAR_NODE}/7`, "dev", "eth0", "nodad");
    ip("peer", "addr", "add", `${FAR_NODE}/128`, "dev", "eth0", "nodad");
    ip("peer", "route", "add", "200::/7", "via", HOST_ADDRESS[6]);
    // Who asks for his neighbour with a forged source gets no answer; a forger knows it without asking.
    const [link] = JSON.parse(inNamespace(this.kernel.hostNamespace, "ip", "-j", "link", "show", "eth0"));
    ip("peer", "neigh", "add", HOST_ADDRESS[6], "lladdr", link.address, "dev", "eth0");
  }

  /** An interface of the host, as the datapath is told of it. */
  interface(name: string): OverlayInterface {
    const list = new InterfaceList(this.kernel.hostNamespace);
    try {
      const found = list.read().find((entry) => entry.name === name);
      if (found === undefined) throw new Error(`the host has no ${name}`);
      return { name, index: found.index };
    } finally {
      list.close();
    }
  }
}
