/** Runs `LinkProbes` where it is started (a network namespace) and tells each change; commands come as lines on stdin. */
import { createInterface } from "node:readline";
import { toJson } from "@bufbuild/protobuf";
import { type MeshProbe, MeshProbeSchema } from "@wardline/api/wardline/v1/mesh";
import type { ProbeTarget } from "../mesh/ports.ts";
import { LinkProbes } from "../mesh/probes/linkProbes.ts";

export type LinkCommand = { readonly targets: readonly ProbeTarget[] } | { readonly ask: "state" };

/** A `MeshProbe` as JSON: what is false, zero or empty is left out as well as what is not known. */
export interface ShownProbe {
  readonly targetHost?: string;
  readonly method?: string;
  readonly reachable?: boolean;
  readonly latencyMs?: number;
  readonly latencyP95Ms?: number;
  readonly loss?: number;
  readonly pathMtuBytes?: number;
  readonly sent?: number;
  readonly received?: number;
  readonly problem?: string;
  readonly lastAnswerAt?: string;
}

export interface LinkState {
  readonly kind: "change" | "state";
  /** `CLOCK_MONOTONIC`, one for all processes. */
  readonly atMs: number;
  readonly probes: readonly ShownProbe[];
  readonly problems: readonly string[];
  /** Processor time of this process since it started. */
  readonly cpuUs: number;
}

const probes = new LinkProbes();

function tell(kind: LinkState["kind"]): void {
  const { user, system } = process.cpuUsage();
  const state: LinkState = {
    kind,
    atMs: Number(process.hrtime.bigint()) / 1e6,
    probes: probes.results().map((probe: MeshProbe) => toJson(MeshProbeSchema, probe) as ShownProbe),
    problems: probes.problems(),
    cpuUs: user + system,
  };
  process.stdout.write(`${JSON.stringify(state)}\n`);
}

probes.onChange(() => tell("change"));
createInterface({ input: process.stdin })
  .on("line", (line) => {
    const command = JSON.parse(line) as LinkCommand;
    if ("targets" in command) probes.setTargets(command.targets);
    else tell("state");
  })
  .on("close", () => probes.close());
tell("state");
