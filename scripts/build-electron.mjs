// Bundles the desktop shell into main/dist/electron: main (ESM), backend process (ESM), preload (CommonJS, because a
// sandboxed preload cannot be a module), and a copy of the built renderer. `--watch` is not needed: it takes a second.
import { cpSync, existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));
const outDir = join(root, "main/dist/electron");
const rendererDir = join(root, "renderer/dist");

if (!existsSync(join(rendererDir, "index.html"))) {
  console.error("build-electron: renderer/dist is missing. Run: npm run build");
  process.exit(1);
}
rmSync(outDir, { recursive: true, force: true });

const common = {
  bundle: true,
  platform: "node",
  // Electron 45 has Node 24.
  target: "node24",
  // better-sqlite3 finds its binary beside its own package. ssh2 does without cpu-features, whose binary nobody builds.
  external: ["electron", "better-sqlite3", "cpu-features"],
  define: { "process.env.WARDLINE_BUILD": JSON.stringify(process.env.WARDLINE_BUILD ?? "local") },
  legalComments: "linked",
  logLevel: "warning",
  absWorkingDir: root,
};
// CommonJS packages inside an ES module ask for `require`, and ssh2 for its directory.
const banner = {
  js: [
    'import { createRequire } from "node:module";',
    "const require = createRequire(import.meta.url);",
    "const __dirname = import.meta.dirname;",
  ].join(" "),
};

await Promise.all([
  build({
    ...common,
    format: "esm",
    banner,
    entryPoints: ["main/src/electron/main.ts"],
    outfile: join(outDir, "main.js"),
  }),
  build({
    ...common,
    format: "esm",
    banner,
    entryPoints: ["main/src/electron/backend-entry.ts"],
    outfile: join(outDir, "backend.js"),
  }),
  build({
    ...common,
    format: "cjs",
    entryPoints: ["main/src/electron/preload.ts"],
    outfile: join(outDir, "preload.cjs"),
  }),
]);
cpSync(rendererDir, join(outDir, "renderer"), { recursive: true });
cpSync(join(root, "assets/icons"), join(outDir, "icons"), { recursive: true });
writeFileSync(join(outDir, "package.json"), `${JSON.stringify({ type: "module", main: "main.js" })}\n`);
console.log(`build-electron: ${outDir}`);
