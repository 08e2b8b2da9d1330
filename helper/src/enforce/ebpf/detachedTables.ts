/**
 * The datapath's programs and tables in this process alone: loaded through the verifier, attached to nothing, pinned
 * nowhere. Answers packets as the self-test of an apply does; everything is gone with `close` or the process.
 */
import type { ProgramPacket } from "@wardline/domain/policy";
import { type LoadedObject, loadObject } from "../../linux/bpf/libbpf.ts";
import { asFailure } from "./failure.ts";
import { type PackableProgram, packProgram } from "./image.ts";
import { closeInner } from "./innerMaps.ts";
import { askKernel, type KernelAnswer } from "./selfTest.ts";
import { finish } from "./steps.ts";
import { fillSlot, verifySlot } from "./tables.ts";

/** Nothing flows here, so what only flows need is as small as it can be. */
const SIZES = new Map([
  ["wl_flows", 1024],
  ["wl_flow_ring", 4096],
  ["wl_deny_ring", 4096],
]);
const SLOT = 0;
const NO_WORKLOADS = { keys: Buffer.alloc(0), values: Buffer.alloc(0), count: 0 };

export class DetachedTables {
  readonly #object: LoadedObject;
  readonly #outerMaps: { readonly wl_tables: number; readonly wl_hashes: number };
  readonly #selftestFd: number;

  /** Throws `Failure` KERNEL_REFUSED with the verifier's reason. */
  constructor(objectBytes: Uint8Array) {
    this.#object = asFailure("load the programs", () =>
      loadObject(objectBytes, { maxEntries: SIZES, reuse: new Map() }),
    );
    this.#outerMaps = { wl_tables: this.#object.mapFd("wl_tables"), wl_hashes: this.#object.mapFd("wl_hashes") };
    this.#selftestFd = this.#object.programFd("wardline_selftest");
  }

  /** Replaces the tables, and reads them back. Throws `Failure`. */
  load(program: PackableProgram): void {
    const image = packProgram(program);
    asFailure("take the tables", () => {
      const tables = { maps: this.#outerMaps };
      // Nobody asks at the same time, so nobody can be in the slot.
      fillSlot(tables, SLOT, image, NO_WORKLOADS);
      finish(verifySlot(tables, SLOT, image, NO_WORKLOADS));
    });
  }

  /** What the tables loaded last decide, as `EbpfEnforcer.ask`. */
  ask(packet: ProgramPacket): KernelAnswer {
    return askKernel(this.#selftestFd, SLOT, packet);
  }

  close(): void {
    closeInner({ maps: this.#outerMaps });
    this.#object.close();
  }
}
