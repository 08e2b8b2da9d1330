/**
 * A program that speaks as `batctl` 2021.1 and later does, from files that a test writes: where there is no kernel module. Fields and their
 * units are those of the documented JSON; both routing algorithms. It knows one interface, `bat0`, and keeps its gateway mode.
 */
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { BatctlProgram } from "../mesh/providers/batman/batctlCommand.ts";
import type { KnownInterface } from "../mesh/providers/batman/meshInterfaces.ts";

/** `meshif DEVICE COMMAND [VALUE]`; other forms are refused as it refuses them. */
const SCRIPT = `#!/bin/sh
dir=\${0%/*}
echo "$*" >> "$dir/calls"
if [ "$1" != meshif ]; then echo "batctl - B.A.T.M.A.N. advanced management tool" >&2; exit 1; fi
if [ ! -e "$dir/if-$2" ]; then echo "Error - interface $2 is not present or not a batman-adv interface" >&2; exit 1; fi
case "$3" in
gw_mode)
  if [ -e "$dir/fail-gw_mode-$4" ]; then rm "$dir/fail-gw_mode-$4"; echo "Error - operation not permitted" >&2; exit 1; fi
  case "$4" in off|client|server) printf %s "$4" > "$dir/mode" ;; "") cat "$dir/mode" ;; *) exit 1 ;; esac ;;
*)
  if [ -e "$dir/hang-$3" ]; then exec sleep 30; fi
  if [ -e "$dir/flood-$3" ]; then exec head -c 100000000 /dev/zero; fi
  if [ ! -e "$dir/$3" ]; then echo "Error - unknown command: $3" >&2; exit 1; fi
  mode=$(cat "$dir/mode")
  sed "s/@GW_MODE@/$mode/" "$dir/$3" ;;
esac
`;

export const MACS = {
  mesh: "0a:00:00:00:00:01",
  own: "02:00:00:00:00:01",
  near: "02:00:00:00:00:02",
  far: "02:00:00:00:00:03",
  gone: "02:00:00:00:00:04",
} as const;

export class BatctlDouble {
  readonly directory = mkdtempSync(join(tmpdir(), "wardline-batctl-"));
  readonly program: BatctlProgram = [join(this.directory, "batctl")];
  interfaces: readonly KnownInterface[] = [
    { index: 1, name: "lo", kind: "", mtuBytes: 65_536 },
    { index: 3, name: "wlan0", kind: "", mtuBytes: 1_532 },
    { index: 4, name: "mesh-eth", kind: "", mtuBytes: 1_532 },
    { index: 7, name: "bat0", kind: "batadv", mtuBytes: 1_500 },
  ];

  constructor(algorithm: "BATMAN_IV" | "BATMAN_V" = "BATMAN_IV") {
    writeFileSync(join(this.directory, "batctl"), SCRIPT);
    chmodSync(join(this.directory, "batctl"), 0o755);
    this.put("if-bat0", "");
    this.put("mode", "client");
    const isFour = algorithm === "BATMAN_IV";
    const metric = (tq: number, throughput: number) => (isFour ? { tq } : { throughput });
    this.answer("mesh_json", {
      ...{ version: "2024.2", algo_name: algorithm, mesh_ifindex: 7, mesh_ifname: "bat0", mesh_address: MACS.mesh },
      ...{ hard_ifindex: 3, hard_ifname: "wlan0", hard_address: MACS.own, tt_ttvn: 12, gw_mode: "@GW_MODE@" },
      ...{ orig_interval: 1_000, hop_penalty: 30, bonding_enabled: false, bridge_loop_avoidance_enabled: true },
      ...{ aggregated_ogms_enabled: true, fragmentation_enabled: true, gw_sel_class: 20, isolation_mark: 0 },
    });
    const originator = (orig: string, neigh: string, tq: number, throughput: number, rest: object = {}) => ({
      ...{ hard_ifindex: 3, hard_ifname: "wlan0", orig_address: orig, neigh_address: neigh, last_seen_msecs: 340 },
      ...metric(tq, throughput),
      ...rest,
    });
    this.answer("originators_json", [
      originator(MACS.far, MACS.gone, 51, 2_000),
      originator(MACS.far, MACS.near, 204, 24_000, { best: true }),
      originator(MACS.near, MACS.near, 255, 54_000, { best: true }),
      originator(MACS.near, MACS.gone, 40, 1_000),
    ]);
    const neighbor = (address: string, lastSeen: number, rest: object = {}) => ({
      ...{ hard_ifindex: 3, hard_ifname: "wlan0", neigh_address: address, last_seen_msecs: lastSeen },
      ...rest,
    });
    this.answer("neighbors_json", [
      neighbor(MACS.near, 340, isFour ? {} : { throughput: 54_000 }),
      neighbor(MACS.gone, 42_000, isFour ? {} : { throughput: 1_000 }),
    ]);
    this.answer("hardifs_json", [
      {
        hard_ifindex: 3,
        hard_ifname: "wlan0",
        active: true,
        hard_address: MACS.own,
        elp_interval: 500,
        hop_penalty: 0,
      },
      {
        hard_ifindex: 4,
        hard_ifname: "mesh-eth",
        hard_address: "02:00:00:00:01:01",
        elp_interval: 500,
        hop_penalty: 0,
      },
    ]);
    const gateway = (orig: string, up: number, down: number, tq: number, rest: object = {}) => ({
      ...{ hard_ifindex: 3, hard_ifname: "wlan0", orig_address: orig, router: MACS.near, ...metric(tq, tq * 100) },
      ...{ bandwidth_up: up, bandwidth_down: down, ...rest },
    });
    this.answer("gateways_json", [gateway(MACS.near, 20, 100, 255, { best: true }), gateway(MACS.far, 15, 500, 204)]);
  }

  /** What a command prints, as JSON. */
  answer(command: string, value: unknown): void {
    this.put(command, JSON.stringify(value));
  }

  /** A file as it is: an answer that is no JSON, or a fault (`hang-COMMAND`, `flood-COMMAND`, `fail-gw_mode-MODE` once). */
  put(name: string, content: string): void {
    writeFileSync(join(this.directory, name), content);
  }

  remove(name: string): void {
    rmSync(join(this.directory, name), { force: true });
  }

  get mode(): string {
    return readFileSync(join(this.directory, "mode"), "utf8");
  }

  /** Command lines, in order. */
  get calls(): readonly string[] {
    const path = join(this.directory, "calls");
    return existsSync(path) ? readFileSync(path, "utf8").trim().split("\n") : [];
  }

  close(): void {
    // A reading that failed early leaves commands behind that still write down that they were called.
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 25 });
  }
}
