import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

// Suites that need root, a kernel feature or a program skip themselves by name: see helper/src/testing and e2e.
export default defineConfig({
  test: {
    include: ["{domain,main,helper,renderer,e2e,scripts}/**/*.test.{ts,tsx,mjs}"],
    exclude: ["**/node_modules/**", "**/dist/**"],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    pool: "forks",
    // Many tests wait: for timeouts of refused connections, for deadlines, for processes and for other machines. With as many
    // workers as processors a small machine is idle half of the time.
    maxWorkers: availableParallelism() + 1,
  },
});
