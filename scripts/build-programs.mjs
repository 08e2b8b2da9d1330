// Bundles the command line and the agent into .cache/programs, so that they start in a third of the time: loading
// hundreds of small files one by one is most of what a short command does. `bin/wardline` takes the bundles while no
// source is newer than they are, and the sources otherwise: nobody has to build anything to try a change.
import { closeSync, existsSync, futimesSync, mkdirSync, openSync, readFileSync, renameSync, rmSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url)).replace(/\/$/, "");
const outDir = join(root, ".cache", "programs");
const workDir = `${outDir}.${process.pid}`;

/** Sources find their neighbours by their own place, also when they run from here. */
const ownPlaces = {
  name: "own places",
  setup({ onLoad }) {
    onLoad({ filter: /\/(main|helper|domain)\/src\/.*\.ts$/ }, ({ path }) => {
      const text = readFileSync(path, "utf8");
      if (!text.includes("import.meta.")) return undefined;
      const place = (of) => JSON.stringify(relative(outDir, of));
      const contents = text
        .replaceAll("import.meta.url", `new URL(${place(path)}, import.meta.url).href`)
        .replaceAll(
          "import.meta.dirname",
          `decodeURIComponent(new URL(${place(dirname(path))}, import.meta.url).pathname)`,
        );
      return { contents, loader: "ts" };
    });
  },
};

/** Packages that are loaded when they are needed stay where they are: from a part of a bundle, CommonJS has no names. */
const laterPackages = {
  name: "later packages",
  setup({ onResolve }) {
    onResolve({ filter: /^[^./]/ }, ({ path, kind }) =>
      kind === "dynamic-import" && !path.startsWith("@wardline/") ? { path, external: true } : undefined,
    );
  },
};

// A source that changes while it is read must count as newer.
const startedAt = new Date();
rmSync(workDir, { recursive: true, force: true });
mkdirSync(workDir, { recursive: true });
try {
  await build({
    entryPoints: { wardline: join(root, "main/src/cli/main.ts"), agent: join(root, "helper/src/main.ts") },
    outdir: workDir,
    absWorkingDir: root,
    bundle: true,
    splitting: true,
    keepNames: true,
    platform: "node",
    target: "node26",
    format: "esm",
    // Each finds a binary beside its own package.
    external: ["better-sqlite3", "ssh2"],
    banner: { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' },
    plugins: [ownPlaces, laterPackages],
    legalComments: "none",
    logLevel: "warning",
  });
  const built = openSync(join(workDir, "built"), "w");
  futimesSync(built, startedAt, startedAt);
  closeSync(built);
  const old = `${workDir}.old`;
  if (existsSync(outDir)) renameSync(outDir, old);
  renameSync(workDir, outDir);
  rmSync(old, { recursive: true, force: true });
} finally {
  rmSync(workDir, { recursive: true, force: true });
}
