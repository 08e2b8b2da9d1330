import { availableParallelism } from "node:os";
import { join } from "node:path";
import { defineConfig } from "vitest/config";
import { LongestFirst } from "./scripts/test/sequencer.mjs";

const TESTS = "**/*.test.{ts,tsx,mjs}";

/**
 * Files that leave their process as they found it: they share processes, and load what they have in common once. Whoever
 * changes the environment, waits for the collector, measures times or hands out addresses of the kernel's memory has a
 * process of his own; so has every suite with agents, browsers or machines.
 */
const SHARED = [
  `domain/${TESTS}`,
  `scripts/${TESTS}`,
  `main/src/backend/{activity,agent,audit,flows,hosts,jobs,lifecycle,policies,questions,rpc,store}/${TESTS}`,
  "main/src/backend/ship/{host-needs,policy-tests,ship-service}.test.ts",
  `main/src/backend/ship/rollouts/${TESTS}`,
  `main/src/backend/cluster/{notes,sync}/${TESTS}`,
  `main/src/cli/{commands,input,terminal}/${TESTS}`,
  `helper/src/{audit,flows,generations,identity,metrics,names,rules,server}/${TESTS}`,
  `helper/src/cluster/{desired,discovery,leadership,membership,notes,service}/${TESTS}`,
  `helper/src/enforce/pf/${TESTS}`,
];
/** Models of pages: they import components, which Node cannot read by itself. */
const PAGES = [`renderer/src/{data,features,ui}/${TESTS}`];
const LEFT_OUT = ["**/node_modules/**", "**/dist/**"];

// Suites that need root, a kernel feature or a program skip themselves by name: see helper/src/testing and e2e.
export default defineConfig({
  test: {
    // These limits prove nothing: they end what hangs. A busy machine is five times slower than an idle one.
    testTimeout: 90_000,
    hookTimeout: 180_000,
    expect: { poll: { timeout: 20_000 } },
    pool: "forks",
    // Many tests wait: for timeouts of refused connections, for deadlines, for processes and for other machines. With as many
    // workers as processors a small machine is idle half of the time.
    maxWorkers: availableParallelism() + 1,
    sequence: { sequencer: LongestFirst },
    // Node reads our sources as they are and keeps them compiled: nothing is transformed.
    experimental: { viteModuleRunner: false, nodeLoader: false },
    env: { NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE ?? join(import.meta.dirname, ".cache", "compile") },
    setupFiles: process.env.WARDLINE_TEST_SEED ? ["./scripts/test/seed.mjs"] : [],
    projects: [
      {
        extends: true,
        test: {
          name: "own process",
          include: [`{domain,main,helper,renderer,e2e,scripts}/${TESTS}`],
          exclude: [...LEFT_OUT, ...SHARED, ...PAGES],
        },
      },
      {
        extends: true,
        test: { name: "shared", include: SHARED, exclude: LEFT_OUT, isolate: false },
      },
      {
        extends: true,
        test: {
          name: "pages",
          include: PAGES,
          exclude: LEFT_OUT,
          isolate: false,
          experimental: { viteModuleRunner: true },
        },
      },
    ],
  },
});
