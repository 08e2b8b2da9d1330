/**
 * A process that enforces with nftables, in its own network namespace, until it is killed. Arguments: options of a first
 * program and of a second one as JSON, and for how many milliseconds the second one waits for its confirmation. Prints
 * `ready` once the second one decides.
 */
import { createNftablesEnforcer } from "../enforce/nftables/nftablesEnforcer.ts";
import { findNft } from "../enforce/nftables/nftCommand.ts";
import { type HandProgramOptions, handProgram } from "./handProgram.ts";

const [first = "", second = "", waitsMs = ""] = process.argv.slice(2);
const enforcer = createNftablesEnforcer({ nft: [findNft() ?? "nft"] });
await enforcer.open();
const programs = [first, second].map((options) => handProgram(JSON.parse(options) as HandProgramOptions));
for (const [position, program] of programs.entries()) {
  const prepared = await enforcer.prepare(program, position + 1);
  enforcer.activate(prepared, { mode: "enforce", fallbackAfterMs: position === 0 ? null : Number(waitsMs) });
}
console.log("ready");
setInterval(() => {}, 1000);
