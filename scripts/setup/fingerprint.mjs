// Decides whether a build step is up to date: by the content of its inputs, so that a fresh checkout of the same files
// and a touched file cost nothing.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";

const LEFT_OUT = new Set(["node_modules", "dist", "build", ".cache"]);

/** SHA-256 over paths and bytes of every file in `inputs` (files or folders; absent ones count as absent). */
export function fingerprint(root, inputs, extra = "") {
  const hash = createHash("sha256").update(extra);
  for (const input of inputs) {
    for (const file of filesOf(join(root, input))) {
      hash.update(`\0${relative(root, file)}\0`).update(readFileSync(file));
    }
  }
  return hash.digest("hex");
}

function filesOf(path) {
  if (!existsSync(path)) return [];
  if (!statSync(path).isDirectory()) return [path];
  const files = [];
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    const child = join(path, entry.name);
    if (entry.isDirectory() && !LEFT_OUT.has(entry.name)) files.push(...filesOf(child));
    else if (entry.isFile() && !/\.test\.(ts|tsx|mjs)$/.test(entry.name) && !entry.name.endsWith(".o"))
      files.push(child);
  }
  return files.sort();
}

export class Stamps {
  #dir;

  constructor(root) {
    this.#dir = join(root, ".cache", "setup");
  }

  read(name) {
    try {
      return readFileSync(join(this.#dir, name), "utf8");
    } catch {
      return "";
    }
  }

  write(name, value) {
    mkdirSync(this.#dir, { recursive: true });
    writeFileSync(join(this.#dir, name), value);
  }

  remove(name) {
    rmSync(join(this.#dir, name), { force: true });
  }
}
