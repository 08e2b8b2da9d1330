// The order of test files: the longest first, so that none of them is left over when all others have ended; then those that
// share processes, which are short. vitest would start with the largest file, because it has no times in a fresh clone.
import { relative } from "node:path";
import { BaseSequencer } from "vitest/node";

/** Longest first, in the order in which they start: a browser beside one that waits rather than beside another browser. */
const LONGEST = [
  "renderer/src/testing/views.browser.test.ts",
  "e2e/src/lifecycle/install.test.ts",
  "e2e/src/cluster/hosts.test.ts",
  "e2e/src/fixtures.test.ts",
  "e2e/src/lifecycle/real-agent.test.ts",
  "renderer/src/testing/fleet.browser.test.ts",
  "helper/src/agent/lifecycle.test.ts",
  "main/src/cli/cli-agent.test.ts",
  "renderer/src/testing/cluster.browser.test.ts",
  "helper/src/enforce/ebpf/generations.test.ts",
  "helper/src/enforce/ebpf/edge/attachments.test.ts",
  "e2e/src/walk.test.ts",
  "helper/src/enforce/ebpf/differential.test.ts",
  "e2e/src/cluster/leaders.test.ts",
  "e2e/src/cluster/store.test.ts",
  "helper/src/agent/agentProcess.test.ts",
  "e2e/src/cluster/history.test.ts",
  "helper/src/enforce/ebpf/continuity.test.ts",
  "main/src/cli/host-cli.test.ts",
  "main/src/cli/cluster-agent.test.ts",
  "helper/src/agent/continuity.test.ts",
  "helper/src/enforce/nftables/differential.test.ts",
  "helper/src/enforce/nftables/agent.test.ts",
  "e2e/src/fleet/apply-faults.test.ts",
  "e2e/src/fleet/fleet.test.ts",
  "e2e/conformance/conformance.test.ts",
  "main/src/cli/cli.test.ts",
];

export class LongestFirst extends BaseSequencer {
  async sort(files) {
    const root = this.ctx.config.root;
    const place = ({ project, moduleId }) => {
      const index = LONGEST.indexOf(relative(root, moduleId));
      if (index >= 0) return index;
      return LONGEST.length + (project.config.isolate ? 0 : project.config.name === "shared" ? 1 : 2);
    };
    // Within a place by name: files of one folder follow each other and load the same modules.
    return files.toSorted((left, right) => place(left) - place(right) || (left.moduleId < right.moduleId ? -1 : 1));
  }
}
