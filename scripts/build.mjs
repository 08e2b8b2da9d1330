// Builds everything that is shipped: BPF objects, the console's bundle, the agent's executable, the desktop shell.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { findNode } from "./setup/node.mjs";

const root = fileURLToPath(new URL("..", import.meta.url)).replace(/\/$/, "");
const node = findNode(root);
if (node.path === null) {
  console.error(`Node 26 does not run here: ${node.reason}\nRun: npm ci --ignore-scripts`);
  process.exit(1);
}

const steps = [
  ...(process.platform === "linux" ? [["make", "-C", "bpf"]] : []),
  [node.path, join("node_modules", "vite", "bin", "vite.js"), "build", "renderer"],
  ...(process.platform === "linux" ? [[node.path, join("scripts", "build-agent.mjs")]] : []),
  [node.path, join("scripts", "build-electron.mjs")],
];
for (const [command, ...args] of steps) {
  console.log(`\n== ${command === node.path ? "node" : command} ${args.join(" ")}`);
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: "inherit" });
  if (status === 0) continue;
  console.error(
    error ? `${command}: ${error.message}` : `It ended with exit code ${status}; nothing further is built.`,
  );
  process.exit(1);
}
