// Faults in the mesh of the demo that runs: `npm run demo:mesh -- kill web-1`.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { findNode } from "./setup/node.mjs";

const root = fileURLToPath(new URL("..", import.meta.url)).replace(/\/$/, "");
const node = findNode(root);
if (node.path === null) {
  console.error(`Node 26 does not run here: ${node.reason}\nRun: node scripts/setup.mjs demo`);
  process.exit(1);
}
const main = join(root, "e2e", "src", "fleet", "demo", "mesh-main.ts");
const args = ["--disable-warning=ExperimentalWarning", main, ...process.argv.slice(2)];
const child = spawn(node.path, args, { cwd: root, stdio: "inherit" });
// The terminal tells both of us; the traffic is ended by the child, so it is waited for.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
child.once("exit", (code) => {
  process.exitCode = code ?? 1;
});
