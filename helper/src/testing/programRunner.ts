/** An enforcer on an empty cgroup of its own, whose attached programs are run on packets made by hand. */
import { closeSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Direction } from "@wardline/domain/policy";
import { EbpfEnforcer } from "../enforce/ebpf/ebpfEnforcer.ts";
import { CONTROL, decodeWord, LAYOUT_VERSION, type MapName } from "../enforce/ebpf/layout.ts";
import { lookupElement, openPin, type TestRunResult, testRun, unmount, updateElement } from "../linux/bpf/libbpf.ts";
import { isBpffs } from "../linux/bpffs.ts";
import { findCgroup2Mount } from "../linux/mounts.ts";
import { readBpfObject } from "./kernelLab.ts";
import { ethernet } from "./rawPacket.ts";

const IFINDEX_OFFSET = 40;
const SK_BUFF_SIZE = 192;
const CB_OFFSET = 48;
let serial = 0;

/** An interface that is not loopback, which test packets pretend to pass. */
function findInterface(): number {
  const indexes = readdirSync("/sys/class/net").flatMap((name) => {
    try {
      return [Number(readFileSync(join("/sys/class/net", name, "ifindex"), "utf8"))];
    } catch {
      return [];
    }
  });
  const found = indexes.find((index) => index > 1);
  if (found === undefined) throw new Error("this machine has no interface but loopback");
  return found;
}

export class ProgramRunner {
  readonly enforcer: EbpfEnforcer;
  readonly #directory = mkdtempSync(join(tmpdir(), "wardline-runner-"));
  readonly cgroupRoot: string;
  readonly interfaceIndex = findInterface();
  #programs: Readonly<Record<Direction, number>> | null = null;

  constructor() {
    serial += 1;
    this.cgroupRoot = join(findCgroup2Mount() ?? "", `wl-run-${process.pid}-${serial}`);
    mkdirSync(this.cgroupRoot);
    this.enforcer = this.newEnforcer();
  }

  get bpffsDir(): string {
    return join(this.#directory, "bpf");
  }

  /** Another hold on the same tree, as a new process would have. One may be open at a time. */
  newEnforcer(): EbpfEnforcer {
    return new EbpfEnforcer({ cgroupRoot: this.cgroupRoot, bpffsDir: this.bpffsDir, objectBytes: readBpfObject() });
  }

  async open(): Promise<void> {
    await this.enforcer.open();
    this.#programs = { ingress: this.pin("wardline_ingress"), egress: this.pin("wardline_egress") };
    this.#settleOwnCgroup();
  }

  pinPath(name: MapName | "wardline_ingress" | "wardline_egress" | "wardline_selftest"): string {
    return join(this.bpffsDir, `layout-${LAYOUT_VERSION}`, name);
  }

  pin(name: MapName | "wardline_ingress" | "wardline_egress" | "wardline_selftest"): number {
    const fd = openPin(this.pinPath(name));
    if (fd === null) throw new Error(`no pin ${name}`);
    return fd;
  }

  /** Test packets come from a socket in this process' cgroup, outside of the guarded one: it has to be known as well. */
  #settleOwnCgroup(): void {
    const path = /^0::(.*)$/m.exec(readFileSync("/proc/self/cgroup", "utf8"))?.[1] ?? "/";
    const id = Buffer.alloc(8);
    id.writeBigUInt64LE(statSync(join(findCgroup2Mount() ?? "", path), { bigint: true }).ino);
    const fd = this.pin("wl_known_cgroups");
    updateElement(fd, id, Buffer.alloc(4, 1));
    closeSync(fd);
  }

  /** Runs the attached program of a direction. `packet` starts with its IP header. */
  run(
    direction: Direction,
    packet: Buffer,
    options: { etherType?: number; ifindex?: number; repeat?: number } = {},
  ): TestRunResult {
    if (this.#programs === null) throw new Error("not open");
    const context = Buffer.alloc(SK_BUFF_SIZE);
    context.writeUInt32LE(options.ifindex ?? this.interfaceIndex, IFINDEX_OFFSET);
    return testRun(this.#programs[direction], ethernet(packet, options.etherType), context, options.repeat ?? 1);
  }

  /** Runs the self-test program on the active slot of the host's own set. */
  runSelfTest(direction: Direction, packet: Buffer, repeat: number): TestRunResult {
    const context = Buffer.alloc(SK_BUFF_SIZE);
    const slot = decodeWord(this.#controlWord()).slot;
    context.writeUInt32LE(slot | (direction === "egress" ? 2 : 0), CB_OFFSET);
    const fd = this.pin("wardline_selftest");
    try {
      return testRun(fd, ethernet(packet), context, repeat);
    } finally {
      closeSync(fd);
    }
  }

  #controlWord(): bigint {
    const control = Buffer.alloc(CONTROL.size);
    const fd = this.pin("wl_control");
    lookupElement(fd, Buffer.alloc(4), control);
    closeSync(fd);
    return control.readBigUInt64LE(CONTROL.word);
  }

  async close(): Promise<void> {
    await this.enforcer.release();
    if (isBpffs(this.bpffsDir)) unmount(this.bpffsDir);
    rmdirSync(this.cgroupRoot);
    rmSync(this.#directory, { recursive: true });
  }
}
