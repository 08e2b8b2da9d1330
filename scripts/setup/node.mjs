// Finds the project's Node 26, in the same order as bin/wardline.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { platformNodePackage } from "./npm-packages.mjs";

export const WANTED_MAJOR = 26;

/** @returns {{ path: string | null, reason: string }} */
export function findNode(root) {
  const given = process.env.WARDLINE_NODE;
  const bundled = join(root, "node_modules", platformNodePackage(), "bin", "node");
  const path = given || (existsSync(bundled) ? bundled : null);
  if (path === null) {
    if (Number(process.versions.node.split(".")[0]) >= WANTED_MAJOR) return { path: process.execPath, reason: "" };
    return {
      path: null,
      reason: `the npm registry has no Node ${WANTED_MAJOR} for ${process.platform} ${process.arch}`,
    };
  }
  const result = spawnSync(path, ["--version"], { encoding: "utf8" });
  if (result.status === 0) return { path, reason: "" };
  return { path: null, reason: (result.stderr || result.error?.message || `it ended with ${result.status}`).trim() };
}
