/** Anchors that stand in for a program's while the emergency brake of a host is pulled. They need no program. */
import { BUILTIN_DECISIONS } from "../program.ts";
import { type PfBuiltinName, pfBuiltinPasses, SCRUB_LINE } from "./pf.ts";

export type PfEmergency = "open" | "closed";

/** `open`: everything passes, without states that would outlive it. `closed`: only what is decided before any policy. */
export function pfEmergencyScript(emergency: PfEmergency): string {
  const lines =
    emergency === "open"
      ? [
          "# Wardline emergency: everything passes until it is ended.",
          SCRUB_LINE,
          `pass quick all no state allow-opts ${label("none")}`,
        ]
      : [
          "# Wardline emergency: the network is closed until it is ended.",
          SCRUB_LINE,
          ...pfBuiltinPasses(label),
          `block drop quick all ${label("emergencyClosed")}`,
        ];
  return `${lines.join("\n")}\n`;
}

function label(name: PfBuiltinName): string {
  return `label "d${BUILTIN_DECISIONS[name].index}_emergency"`;
}
