/** An agent's executor in a process of its own, that is to be killed in the middle of an order. Says `intended` and `acted`. */
import { appendFileSync } from "node:fs";
import { HealingAction, MeshProvider } from "@wardline/api/wardline/v1/mesh";
import { MeshExecutor } from "../mesh/healing/meshExecutor.ts";
import { executorPorts, meshAdapter } from "./meshExecutorLab.ts";

const [stateDir = "", stopAt = "", actsPath = "", orderId = ""] = process.argv.slice(2);

const adapter = meshAdapter({ restartDaemon: async () => appendFileSync(actsPath, "restarted\n") });
const never = new Promise<void>(() => {});
const executor = await MeshExecutor.open({
  ...executorPorts(stateDir, [adapter]),
  async checkpoint(step) {
    process.stdout.write(`${step}\n`);
    if (step === stopAt) await never;
  },
});
const order = {
  ...{ id: orderId, runId: orderId.slice(0, orderId.lastIndexOf("/")), target: "daemon/yggdrasil/a", peerUri: "" },
  ...{ action: HealingAction.RESTART_DAEMON, provider: MeshProvider.YGGDRASIL, term: 3n, dryRun: false },
  ...{ expiresAtMs: Date.now() + 20_000, approvedBy: "the loop" },
};
// Keeps the process there while it is stuck.
setInterval(() => {}, 1_000);
await executor.execute(order, new AbortController().signal);
process.exit(0);
