/** The part of the fake backend that works out rules and tests from flows. */
import type { ProposeRuleRequest, ProposeTestRequest } from "@wardline/api/wardline/console/v1/flow_actions";
import { Verdict } from "@wardline/api/wardline/v1/policy";

const BEFORE = "apiVersion: wardline.io/v1\nkind: Policy\nmetadata: {name: web}\n";

export class FakeFlowActions {
  /** What was asked for, for tests. */
  readonly asked: string[] = [];
  /** How many connections each rule was asked for. */
  readonly counts: number[] = [];

  service() {
    const { asked, counts } = this;
    return {
      proposeRule: async ({ flows, wanted, path }: ProposeRuleRequest) => {
        const [flow] = flows;
        counts.push(flows.length);
        asked.push(`rule ${Verdict[wanted]} ${flow?.from} ${flow?.to} ${flow?.port} ${path}`);
        return {
          path: path || "web.yaml",
          baseRevision: 1n,
          before: BEFORE,
          after: `${BEFORE}spec: {egress: [{to: [{ipBlock: {cidr: ${flow?.to}/32}}]}]}\n`,
          effects: [
            {
              sentence: `web-1 may connect to ${flow?.to} on tcp/${flow?.port}; it could not before`,
              after: Verdict.ALLOW,
            },
          ],
          effectCount: 1n,
        };
      },
      proposeTest: async ({ expected, path }: ProposeTestRequest) => {
        asked.push(`test ${Verdict[expected]} ${path}`);
        return { path: path || "tests-from-flows.yaml", before: "", after: "kind: PolicyTest\n", passes: true };
      },
    };
  }
}
