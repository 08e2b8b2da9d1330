// Who may import what: the table of docs/architecture.md as data. `check-imports.mjs` enforces it.

/** Our workspaces and which of the others each may import, by package name. */
export const WORKSPACE_IMPORTS = {
  api: [],
  domain: ["api"],
  main: ["api", "domain"],
  renderer: ["api", "domain"],
  helper: ["api", "domain"],
  e2e: ["api", "domain", "main", "renderer", "helper"],
  bench: ["api", "domain", "main", "renderer", "helper", "e2e"],
};

/** Packages that only some files may import. Patterns are prefixes of paths, or whole paths. */
export const RESTRICTED_MODULES = [
  {
    modules: ["electron", "electron/main", "electron/renderer", "electron/common"],
    allowedIn: ["main/src/electron/"],
    reason: "the backend, the browser host and the command line run without Electron",
  },
  {
    modules: ["node:ffi", "ffi"],
    allowedIn: ["helper/src/linux/"],
    reason: "one small module with typed wrappers touches pointers",
  },
  {
    modules: ["node:child_process", "child_process"],
    allowedIn: [
      // Starts and supervises the agent for `wardline start`, and opens the browser.
      "main/src/cli/start/agent-process.ts",
      // Asks the kernel about vectors, through the agent's `test-run`.
      "main/src/cli/start/agent-test-run.ts",
      "main/src/browser/open-browser.ts",
      // Asks nft whether outgoing connections are translated.
      "helper/src/linux/outputNat.ts",
      // Gives nft the rules of the nftables backend.
      "helper/src/enforce/nftables/nftCommand.ts",
      // Asks systemd to start the daemon of a mesh anew.
      "helper/src/mesh/systemd.ts",
      // Gives pfctl the rules of the pf backend.
      "helper/src/enforce/pf/systemPfctl.ts",
      // Asks batctl about batman-adv, and makes it choose its gateway anew.
      "helper/src/mesh/providers/batman/batctlCommand.ts",
      // Starts the system's ssh, where the built-in client cannot do what a host asks for.
      "main/src/backend/ssh/system/ssh-program.ts",
      // Fetches policies from a git remote, and pushes to it when a person says so.
      "main/src/backend/configuration/source/git-program.ts",
      "main/src/electron/",
      // Builds, set-up and tests.
      "scripts/",
      "e2e/src/",
      "bench/src/",
    ],
    allowedInTests: true,
    reason: "programs are started only by small named adapters",
  },
];

/**
 * Never, anywhere: in a single executable `fork` ignores the path it is given and starts the executable's own main
 * again, so that processes multiply without end.
 */
export const BANNED_NAMES = [{ modules: ["node:child_process", "child_process"], names: ["fork"] }];

/** Folders whose code must be the same on every run: what it needs of the world is passed in. */
export const PURE_FOLDERS = ["domain/src/"];
/** Member calls that read the world. `new Date()` without arguments counts as well. */
export const IMPURE_CALLS = [
  ["Date", "now"],
  ["Math", "random"],
  ["performance", "now"],
  ["crypto", "randomUUID"],
  ["crypto", "getRandomValues"],
];

/** Folders that run in a browser page: no Node modules. */
export const BROWSER_FOLDERS = ["renderer/src/"];

/** A feature is a folder below this one; another feature may import only its `index.ts(x)`. */
export const FEATURES_DIR = "renderer/src/features/";
/** The design system: imports no feature. */
export const DESIGN_SYSTEM_DIR = "renderer/src/ui/";

/** Tests, their helpers and fixtures may read files and clocks. */
export function isTestFile(path) {
  return /\.(test|spec)\.(ts|tsx|mts|mjs|js)$/.test(path) || /\/(testing|fixtures|__tests__)\//.test(path);
}
