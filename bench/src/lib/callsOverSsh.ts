/** How long a small call to an agent takes through SSH, once the connection stands. */

import { create } from "@bufbuild/protobuf";
import { HostAccessSchema, SshTransport } from "@wardline/api/wardline/console/v1/hosts";
import type { Fleet } from "@wardline/e2e/fleet/fleet";
import { SshDialer } from "@wardline/main/backend/agent/ssh-dialer";
import { NOBODY } from "@wardline/main/backend/questions/questions";
import { ConsoleSshConnector } from "@wardline/main/backend/ssh/ssh-connector";
import { API_MAX, API_MIN } from "@wardline/main/backend/version";
import { quantile } from "./statistics.ts";

const WARM_UP = 20;

export interface CallCost {
  readonly transport: "built-in" | "system";
  readonly hasTerminal: boolean;
  readonly calls: number;
  /** Of a call that asks the agent for what it knows already (Handshake). */
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Of a call for which the agent asks its kernel (GetStatus). */
  readonly statusP50Ms: number;
}

export interface CallsTo {
  readonly fleet: Fleet;
  readonly machine: string;
  readonly agentSocket: string;
  readonly transport: CallCost["transport"];
  readonly hasTerminal: boolean;
  readonly calls: number;
}

/** One call after the other, each answer about a kilobyte. */
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
    const time = async (call: () => Promise<unknown>) => {
      const samples: number[] = [];
      for (let round = 0; round < WARM_UP + calls; round++) {
        const startedAt = performance.now();
        await call();
        if (round >= WARM_UP) samples.push(performance.now() - startedAt);
      }
      return (fraction: number) => Number(quantile(samples, fraction).toFixed(3));
    };
    const range = { clientName: "bench", clientVersion: "0", apiMin: API_MIN, apiMax: API_MAX };
    const handshake = await time(() => link.client.handshake(range));
    const status = await time(() => link.client.getStatus({}));
    return {
      transport,
      hasTerminal,
      calls,
      p50Ms: handshake(0.5),
      p99Ms: handshake(0.99),
      statusP50Ms: status(0.5),
    };
  } finally {
    link.close();
  }
}
