/** Sends packets that each open another flow to the host of a lab; see native/flood.c. */
import { execFile, execFileSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { HOST_ADDRESS, type KernelLab, PEER_ADDRESS } from "./kernelLab.ts";

const SOURCE = fileURLToPath(new URL("./native/flood.c", import.meta.url));

export interface FloodOptions {
  /** `reset`: each opening is followed by its reset, so that the flow starts and ends. */
  readonly kind: "syn" | "udp" | "reset";
  readonly port: number;
  readonly count: number;
  readonly perSecond: number;
}

export class Flooder {
  readonly #lab: KernelLab;
  readonly #path: string;
  readonly #hostMac: string;
  #next = 0;

  constructor(lab: KernelLab) {
    this.#lab = lab;
    this.#path = join(lab.directory, "flood");
    execFileSync("clang", ["-O2", "-o", this.#path, SOURCE]);
    const enter = (command: readonly string[]) =>
      execFileSync("nsenter", [`--net=${lab.hostNamespace}`, ...command], { encoding: "utf8" });
    // What is sent comes from addresses behind the peer.
    enter(["ip", "route", "replace", "default", "via", PEER_ADDRESS[4]]);
    const [link] = JSON.parse(enter(["ip", "-j", "link", "show", "dev", "eth0"])) as { readonly address: string }[];
    this.#hostMac = link?.address ?? "";
  }

  /** Resolves to how many were sent. No two packets of all floods are of one flow, unless the kind differs. */
  async send({ kind, port, count, perSecond }: FloodOptions): Promise<number> {
    const first = this.#next;
    this.#next += count;
    const { stdout } = await promisify(execFile)("nsenter", [
      `--net=${this.#lab.peerNamespace}`,
      this.#path,
      kind,
      "eth0",
      this.#hostMac,
      HOST_ADDRESS[4],
      String(port),
      ...[first, count, perSecond].map(String),
    ]);
    return Number(stdout);
  }
}
