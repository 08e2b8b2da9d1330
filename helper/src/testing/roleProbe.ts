/** Run as another user: calls an agent and prints what it was allowed to do, as JSON. */
import { Code, ConnectError } from "@connectrpc/connect";
import { connectAgent, outcomeOf } from "./agentClient.ts";

const client = connectAgent(process.argv[2] ?? "");
const { agent, health } = client;
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
  }),
);
client.close();
