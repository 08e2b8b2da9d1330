// Type-checks every workspace that has sources, in parallel. Exit 1 when any has errors.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const wanted = process.argv.slice(2);
const all = ["domain", "helper", "main", "renderer", "e2e", "bench"];
const projects = (wanted.length > 0 ? wanted : all).filter((name) => existsSync(join(root, name, "tsconfig.json")));

const results = await Promise.all(
  projects.map(
    (name) =>
      new Promise((resolve) => {
        const child = spawn(join(root, "node_modules/.bin/tsc"), ["-p", name], { cwd: root, stdio: "inherit" });
        child.on("exit", (code) => resolve(code ?? 1));
      }),
  ),
);
process.exit(results.some((code) => code !== 0) ? 1 : 0);
