/** Run as another user: calls an agent and prints what it was allowed to do, as JSON. */
import type { DescService } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { AnomalyService } from "@wardline/api/wardline/agent/v1/anomaly";
import { ClusterService } from "@wardline/api/wardline/agent/v1/cluster";
import { MeshService } from "@wardline/api/wardline/agent/v1/mesh";
import { connectAgent, outcomeOf } from "./agentClient.ts";

const client = connectAgent(process.argv[2] ?? "");
const { agent, cluster, anomalies, health, mesh, records } = client;
/** Methods of a service that refuse this user, by what they answer to an empty request. Streams are asked for one message. */
async function deniedOf(service: DescService, of: object): Promise<string[]> {
  const calls = of as Record<string, (request: object) => Promise<unknown> & AsyncIterable<unknown>>;
  const denied: string[] = [];
  for (const { localName, methodKind } of service.methods) {
    const call = calls[localName];
    if (!call) continue;
    const outcome = await outcomeOf(methodKind === "unary" ? call({}) : firstOf(call({})));
    if (outcome === "PERMISSION_DENIED") denied.push(localName);
  }
  return denied;
}

async function firstOf(stream: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of stream) break;
}

const who = await agent.handshake({}).catch((error: unknown) => {
  if (error instanceof ConnectError && error.code === Code.PermissionDenied) return null;
  throw error;
});
console.log(
  JSON.stringify({
    actor: who?.actor ?? null,
    status: await outcomeOf(agent.getStatus({})),
    apply: await outcomeOf(agent.apply({})),
    release: await outcomeOf(agent.release({ reason: "x".repeat(2_000) })),
    health: await outcomeOf(health.check({})),
    records: [await outcomeOf(records.getJournal({})), await outcomeOf(firstOf(records.readRecords({})))],
    cluster: await deniedOf(ClusterService, cluster),
    anomalies: await deniedOf(AnomalyService, anomalies),
    mesh: await deniedOf(MeshService, mesh),
  }),
);
client.close();
