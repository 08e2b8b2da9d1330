// Regenerates api/gen from the .proto files. `--check` fails when the checked-in code differs.
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const apiDir = join(root, "api");
const check = process.argv.includes("--check");
const bin = join(root, "node_modules", ".bin");

function run(command, args, options = {}) {
  const result = spawnSync(command, args, {
    cwd: apiDir,
    stdio: "inherit",
    env: { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH}` },
    ...options,
  });
  if (result.error) throw result.error;
  return result.status ?? 1;
}

if (run(join(bin, "buf"), ["lint"]) !== 0) process.exit(1);
if (!check) process.exit(run(join(bin, "buf"), ["generate"]));

const scratchDir = mkdtempSync(join(tmpdir(), "wardline-generate-"));
try {
  for (const name of ["buf.yaml", "buf.gen.yaml", "proto"]) {
    cpSync(join(apiDir, name), join(scratchDir, name), { recursive: true });
  }
  if (run(join(bin, "buf"), ["generate"], { cwd: scratchDir }) !== 0) process.exit(1);
  const status = run("diff", ["-r", resolve(apiDir, "gen"), join(scratchDir, "gen")]);
  if (status !== 0) {
    console.error("api/gen is not what the .proto files generate: run `npm run generate` and commit the result.");
    process.exitCode = 1;
  }
} finally {
  rmSync(scratchDir, { recursive: true, force: true });
}
