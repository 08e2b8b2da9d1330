import type { PolicyWorld } from "../model.ts";
import type { HostProgram } from "../program.ts";
import { createCompiler } from "./compiler.ts";

/**
 * Compiles what one host has to know of a world. The same world and name give the same program, digest included. Many
 * hosts of one world, or a world that changes: `createCompiler`.
 *
 * Throws `TOO_LARGE` above one million table entries and `POLICY_UNSUPPORTED` as `orderPolicies`.
 */
export function compile(world: PolicyWorld, hostName: string): HostProgram {
  return createCompiler(world).program(hostName);
}
