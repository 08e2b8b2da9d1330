import type { CreateSha256 } from "../digest.ts";
import type { PolicyWorld } from "../model.ts";
import type { HostProgram } from "../program.ts";
import { createCompiler } from "./compiler.ts";

/**
 * Compiles what one host has to know of a world. The same world and name give the same program, digest included. Many
 * hosts of one world, or a world that changes: `createCompiler`.
 *
 * `createSha256`: what the program is digested with. Throws `TOO_LARGE` above one million table entries and `POLICY_UNSUPPORTED` as `orderPolicies`.
 */
export function compile(world: PolicyWorld, hostName: string, createSha256?: CreateSha256): HostProgram {
  return createCompiler(world, createSha256).program(hostName);
}
