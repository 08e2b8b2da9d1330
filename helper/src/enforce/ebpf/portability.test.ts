import { describe, expect, it } from "vitest";
import { readCalls, readElfSections, readFunctions } from "../../testing/elfProgram.ts";
import { kernelLabProblem, readBpfObject } from "../../testing/kernelLab.ts";
import { PROGRAM_NAMES } from "./layout.ts";

const problem = kernelLabProblem();
const FLOOR = 5.15;
/** Newer kernels round each frame up to 16 bytes, and would load what older ones refuse. */
const STACK_STEP_BYTES = 32;
const MAX_STACK_BYTES = 512;

/**
 * Every kernel helper that may be used, with the kernel that first had it for the kinds of programs that call it
 * (cgroup_skb, cgroup sock_addr and sock, tc, XDP), with two digits after the point. From the kernel's history; a helper that is not here has to be looked up.
 */
const HELPERS: Readonly<Record<number, readonly [name: string, since: number]>> = {
  1: ["map_lookup_elem", 3.19],
  2: ["map_update_elem", 3.19],
  3: ["map_delete_elem", 3.19],
  5: ["ktime_get_ns", 4.01],
  14: ["get_current_pid_tgid", 5.07],
  15: ["get_current_uid_gid", 4.1],
  16: ["get_current_comm", 5.07],
  26: ["skb_load_bytes", 4.05],
  46: ["get_socket_cookie", 4.17],
  69: ["fib_lookup", 4.18],
  79: ["skb_cgroup_id", 4.19],
  80: ["get_current_cgroup_id", 5.07],
  83: ["skb_ancestor_cgroup_id", 4.19],
  84: ["sk_lookup_tcp", 4.2],
  85: ["sk_lookup_udp", 4.2],
  86: ["sk_release", 4.2],
  95: ["sk_fullsock", 5.01],
  99: ["skc_lookup_tcp", 5.02],
  107: ["sk_storage_get", 5.08],
  118: ["jiffies64", 5.06],
  122: ["get_netns_cookie", 5.07],
  123: ["get_current_ancestor_cgroup_id", 5.07],
  125: ["ktime_get_boot_ns", 5.08],
  131: ["ringbuf_reserve", 5.08],
  132: ["ringbuf_submit", 5.08],
  160: ["ktime_get_coarse_ns", 5.11],
};

describe.skipIf(problem !== null)(
  `the object loads on Linux ${FLOOR}${problem === null ? "" : ` (${problem})`}`,
  () => {
    const object = () => Buffer.from(readBpfObject());

    it("calls no helper that came later, and no kernel function by its BTF", () => {
      const calls = readCalls(object());
      expect(calls.length).toBeGreaterThan(100);
      expect(calls.filter(({ kind }) => kind === "kfunc")).toEqual([]);
      for (const { id, section } of calls.filter(({ kind }) => kind === "helper")) {
        const known = HELPERS[id];
        expect(known, `helper ${id} in ${section}: look up since when it may be called`).toBeDefined();
        expect(known?.[1], known?.[0]).toBeLessThanOrEqual(FLOOR);
      }
    });

    it("needs no more stack than a chain of calls may have, as old kernels count it", () => {
      const functions = new Map(readFunctions(object()).map((one) => [one.name, one]));
      const deepestFrom = (name: string): number => {
        const { frameBytes = 0, callees = [] } = functions.get(name) ?? {};
        const rounded = Math.max(1, Math.ceil(frameBytes / STACK_STEP_BYTES)) * STACK_STEP_BYTES;
        return rounded + Math.max(0, ...callees.map(deepestFrom));
      };
      expect(functions.get("open_flow")?.callees).toContain("recall_answer");
      expect(functions.get("recall_answer")?.callees).toContain("answer_question");
      for (const name of Object.values(PROGRAM_NAMES)) {
        expect(functions.get(name)?.frameBytes, name).toBeDefined();
        expect(deepestFrom(name), name).toBeLessThanOrEqual(MAX_STACK_BYTES);
      }
    });

    it("has no CO-RE relocation, so it needs no BTF of the kernel", () => {
      const extension = readElfSections(object()).find(({ name }) => name === ".BTF.ext")?.bytes;
      if (extension === undefined) throw new Error("the object has no .BTF.ext");
      const headerBytes = extension.readUInt32LE(4);
      // struct btf_ext_header: magic, version, flags, header length, function info, line info, CO-RE relocations.
      const coreRelocationBytes = headerBytes >= 32 ? extension.readUInt32LE(28) : 0;
      expect(coreRelocationBytes).toBe(0);
    });
  },
);
