/** A whole backend on a fake agent and a store in a temporary directory, with a client of every service. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { type Client, createClient, createRouterTransport } from "@connectrpc/connect";
import { AskService } from "@wardline/api/wardline/console/v1/ask";
import { ClusterService } from "@wardline/api/wardline/console/v1/cluster";
import { ConfigurationService } from "@wardline/api/wardline/console/v1/configuration";
import { FleetService } from "@wardline/api/wardline/console/v1/fleet";
import { FlowService } from "@wardline/api/wardline/console/v1/flows";
import { HistoryService } from "@wardline/api/wardline/console/v1/history";
import { HostService } from "@wardline/api/wardline/console/v1/hosts";
import { PolicyService } from "@wardline/api/wardline/console/v1/policies";
import { RolloutService } from "@wardline/api/wardline/console/v1/rollout";
import { SettingsService } from "@wardline/api/wardline/console/v1/settings";
import { ShipService } from "@wardline/api/wardline/console/v1/ship";
import { VersionService } from "@wardline/api/wardline/console/v1/versions";
import { type Backend, type BackendOptions, createBackend } from "../backend.ts";
import { silentLogger } from "../ports.ts";
import { FakeAgent } from "./fake-agent.ts";

export interface TestConsole {
  readonly agent: FakeAgent;
  readonly backend: Backend;
  readonly stateDir: string;
  readonly policies: Client<typeof PolicyService>;
  readonly ship: Client<typeof ShipService>;
  readonly rollouts: Client<typeof RolloutService>;
  readonly flows: Client<typeof FlowService>;
  readonly hosts: Client<typeof HostService>;
  readonly fleet: Client<typeof FleetService>;
  readonly clusters: Client<typeof ClusterService>;
  readonly history: Client<typeof HistoryService>;
  readonly versions: Client<typeof VersionService>;
  readonly configuration: Client<typeof ConfigurationService>;
  readonly settings: Client<typeof SettingsService>;
  readonly ask: Client<typeof AskService>;
  close(): Promise<void>;
}

/** @param stateDir an existing one is used and kept */
export function startTestConsole(agent = new FakeAgent(), options: Partial<BackendOptions> = {}): TestConsole {
  const stateDir = options.stateDir ?? mkdtempSync(join(tmpdir(), "wardline-console-"));
  const defects: string[] = [];
  const backend = createBackend({
    agentSocketPath: "/nonexistent/agent.sock",
    // Whatever is logged as an error is a defect: expected failures are warnings.
    logger: { ...silentLogger, error: (fields, message) => void defects.push(`${message} ${inspect(fields)}`) },
    shell: { kind: "browser" },
    userName: "tester",
    dialer: agent,
    // Not what this machine needs: the same answers everywhere.
    // They look at clusters and hosts by themselves; tests that are about them turn them on.
    alerts: { delivers: false },
    // Never those of the person who runs the tests.
    settingsFiles: {
      path: join(stateDir, "config", "settings.yaml"),
      lockedPath: join(stateDir, "locked", "settings.yaml"),
    },
    hostNeeds: (host) => ({ hostName: host.connection.hostName, connections: [] }),
    ...options,
    stateDir,
  });
  const transport = createRouterTransport((router) => backend.routes(router));
  return {
    agent,
    backend,
    stateDir,
    policies: createClient(PolicyService, transport),
    ship: createClient(ShipService, transport),
    rollouts: createClient(RolloutService, transport),
    flows: createClient(FlowService, transport),
    hosts: createClient(HostService, transport),
    fleet: createClient(FleetService, transport),
    clusters: createClient(ClusterService, transport),
    history: createClient(HistoryService, transport),
    versions: createClient(VersionService, transport),
    configuration: createClient(ConfigurationService, transport),
    settings: createClient(SettingsService, transport),
    ask: createClient(AskService, transport),
    async close() {
      await backend.close();
      if (options.stateDir === undefined) rmSync(stateDir, { recursive: true, force: true });
      if (defects.length > 0) throw new Error(`the backend logged defects:\n${defects.join("\n")}`);
    },
  };
}

/** Collects all of a stream that ends. */
export async function collect<Message>(stream: AsyncIterable<Message>): Promise<Message[]> {
  const messages: Message[] = [];
  for await (const message of stream) messages.push(message);
  return messages;
}
