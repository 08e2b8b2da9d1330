// The order of test files: the longest first, so that none of them is left over when all others have ended; then those that
// share processes, which are short. vitest would start with the largest file, because it has no times in a fresh clone.
import { relative } from "node:path";
import { BaseSequencer } from "vitest/node";

/**
 * Longest first, in the order in which they start. A browser stands beside suites that wait rather than beside other browsers;
 * the suites of a cluster, whose leases and deadlines are the kernel's and not the test's, stand beside none of the mesh's
 * faults and beside few browsers.
 */
export const LONGEST = [
  "e2e/src/mesh/faults.test.ts",
  "renderer/src/testing/accessibility-opened.browser.test.ts",
  "e2e/src/lifecycle/install.test.ts",
  "helper/src/mesh/probes/linkProbesInNamespaces.test.ts",
  "renderer/src/testing/views.browser.test.ts",
  "helper/src/agent/lifecycle.test.ts",
  "e2e/src/fixtures.test.ts",
  "renderer/src/testing/form.browser.test.ts",
  "helper/src/enforce/ebpf/edge/attachments.test.ts",
  "helper/src/agent/killed.test.ts",
  "helper/src/agent/agentProcess.test.ts",
  "e2e/src/cluster/hosts.test.ts",
  "e2e/src/anomaly/counts.test.ts",
  "helper/src/enforce/nftables/agent.test.ts",
  "helper/src/agent/continuity.test.ts",
  "renderer/src/testing/picture.browser.test.ts",
  "e2e/src/anomaly/attacks.test.ts",
  "e2e/src/fleet/hostile-host.test.ts",
  "renderer/src/testing/mesh.browser.test.ts",
  "e2e/src/cluster/store.test.ts",
  "main/src/backend/alerts/sources.test.ts",
  "helper/src/enforce/ebpf/edge/earlyDrop.test.ts",
  "renderer/src/testing/accessibility-live.browser.test.ts",
  "e2e/src/lifecycle/real-agent.test.ts",
  "e2e/src/fleet/apply-faults.test.ts",
  "helper/src/anomaly/kernel.test.ts",
  "renderer/src/testing/versions.browser.test.ts",
  "e2e/src/cluster/leaders.test.ts",
  "helper/src/enforce/ebpf/generations.test.ts",
  "helper/src/cluster/store/etcdFaults.test.ts",
  "renderer/src/testing/editor.browser.test.ts",
  "helper/src/mesh/yggdrasilLive.test.ts",
  "helper/src/enforce/nftables/nftablesEnforcer.test.ts",
  "e2e/src/cluster/history.test.ts",
  "main/src/backend/alerts/alerts.test.ts",
  "renderer/src/testing/accessibility.browser.test.ts",
  "main/src/backend/configuration/source/source.test.ts",
  "main/src/cli/cli-agent.test.ts",
  "e2e/src/safety.test.ts",
  "helper/src/cluster/node/manyHosts.test.ts",
  "e2e/src/lifecycle/cut-off.test.ts",
  "renderer/src/testing/live-flows.browser.test.ts",
  "helper/src/cluster/store/etcdStore.test.ts",
  "e2e/src/fleet/rollout-faults.test.ts",
  "renderer/src/testing/flows.browser.test.ts",
  "helper/src/enforce/ebpf/socketStorage.test.ts",
  "helper/src/cluster/mesh/etcd.test.ts",
  "renderer/src/testing/ship.browser.test.ts",
  "main/src/backend/history/sqlite/ranked-rows.test.ts",
  "e2e/src/fleet/fleet.test.ts",
  "renderer/src/testing/fleet.browser.test.ts",
  "helper/src/enforce/ebpf/edge/edge.test.ts",
  "main/src/backend/cluster/real-cluster.test.ts",
  "renderer/src/testing/anomalies.browser.test.ts",
  "helper/src/enforce/nftables/script.test.ts",
  "main/src/backend/mesh/mesh.test.ts",
  "renderer/src/testing/ask.browser.test.ts",
  "helper/src/enforce/ebpf/edge/forward.test.ts",
  "main/src/backend/history/sqlite/partitions.test.ts",
  "e2e/src/keyboard.test.ts",
  "e2e/src/cluster/prometheus.test.ts",
  "helper/src/enforce/ebpf/continuity.test.ts",
  "renderer/src/testing/settings.browser.test.ts",
  "main/src/cli/host-cli.test.ts",
  "helper/src/enforce/nftables/differential.test.ts",
  "renderer/src/testing/cluster.browser.test.ts",
  "helper/src/enforce/ebpf/differential.test.ts",
  "main/src/cli/cli.test.ts",
  "e2e/src/tasks.test.ts",
  "renderer/src/testing/accessibility-keyboard.browser.test.ts",
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
