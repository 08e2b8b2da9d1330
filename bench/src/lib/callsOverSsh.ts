/** How long a small call to an agent takes through SSH, once the connection stands. */
import { create } from "@bufbuild/protobuf";
import { HostAccessSchema, SshTransport } from "@wardline/api/wardline/console/v1/hosts";
import type { Fleet } from "@wardline/e2e/fleet/fleet";
import { SshDialer } from "@wardline/main/backend/agent/ssh-dialer";
import { NOBODY } from "@wardline/main/backend/questions/questions";
import { ConsoleSshConnector } from "@wardline/main/backend/ssh/ssh-connector";
import { quantile } from "./statistics.ts";

const WARM_UP = 20;

export interface CallCost {
  readonly transport: "built-in" | "system";
  readonly hasTerminal: boolean;
  readonly calls: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export interface CallsTo {
  readonly fleet: Fleet;
  readonly machine: string;
  readonly agentSocket: string;
  readonly transport: CallCost["transport"];
  readonly hasTerminal: boolean;
  readonly calls: number;
}

/** One call after the other; status of the agent, about a kilobyte. */
export async function measureCalls(options: CallsTo): Promise<CallCost> {
  const { fleet, machine, agentSocket, transport, hasTerminal, calls } = options;
  const environment = { homeDir: fleet.home.directory, systemConfigPath: null, environment: {} };
  const connector = new ConsoleSshConnector({ asker: NOBODY, environment });
  const access = create(HostAccessSchema, {
    address: machine,
    agentSocket,
    transport: transport === "system" ? SshTransport.SYSTEM : SshTransport.BUILT_IN,
  });
  const link = await new SshDialer({ connector, hostId: machine, access: () => access }).dial();
  try {
    const samples: number[] = [];
    for (let call = 0; call < WARM_UP + calls; call++) {
      const startedAt = performance.now();
      await link.client.getStatus({});
      if (call >= WARM_UP) samples.push(performance.now() - startedAt);
    }
    const of = (fraction: number) => Number(quantile(samples, fraction).toFixed(3));
    return { transport, hasTerminal, calls, p50Ms: of(0.5), p99Ms: of(0.99) };
  } finally {
    link.close();
  }
}
