// Starts the demo with the project's own Node: `npm run demo`, or `npm run demo -- --no-open`.
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
const main = join(root, "e2e", "src", "fleet", "demo", "demo-main.ts");
const env = { ...process.env, NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE ?? join(root, ".cache", "compile") };
const args = ["--disable-warning=ExperimentalWarning", main, ...process.argv.slice(2)];
const child = spawn(node.path, args, { cwd: root, env, stdio: "inherit" });
// The terminal tells both of us; the hosts are removed by the child, so it is waited for.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
child.once("exit", (code) => {
  process.exitCode = code ?? 1;
});
