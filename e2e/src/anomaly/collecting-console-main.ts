/** A console in a process of its own that collects from all hosts and tells how many records it has: for the test that kills it. */
import { setTimeout } from "node:timers/promises";
import { createClient, createRouterTransport } from "@connectrpc/connect";
import { HistoryService } from "@wardline/api/wardline/console/v1/history";
import { silentLogger } from "@wardline/main/backend/ports";
import { FleetConsole } from "../fleet/fleet-console.ts";

const [directory = "", home = "", stateDir = ""] = process.argv.slice(2);
const TELL_EVERY_MS = 100;

const { backend } = new FleetConsole({ directory, home: { directory: home } }, { stateDir, logger: silentLogger });
// As a window does that somebody looks at.
for (const { connection } of backend.registry.hosts) connection.need();
const history = createClient(
  HistoryService,
  createRouterTransport((router) => backend.routes(router)),
);
for (;;) {
  const { status } = await history.getHistoryStatus({});
  process.stdout.write(`${status?.records ?? 0n}\n`);
  await setTimeout(TELL_EVERY_MS);
}
