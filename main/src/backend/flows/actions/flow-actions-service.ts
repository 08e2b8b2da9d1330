/** `wardline.console.v1.FlowActionsService`: changes of files worked out from flows. Nothing is written here. */
import { setImmediate } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import {
  type FlowActionsService,
  type ProposeRuleRequest,
  ProposeRuleResponseSchema,
  type ProposeTestRequest,
  ProposeTestResponseSchema,
  type SeenFlow,
} from "@wardline/api/wardline/console/v1/flow_actions";
import { Verdict as WireVerdict } from "@wardline/api/wardline/v1/policy";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import {
  type PolicyFlow,
  type PolicyWorld,
  readPolicyFiles,
  resolveFlowEnds,
  type SourceFile,
  type Verdict,
  withoutExpired,
} from "@wardline/domain/policy";
import { createAccessModel, diffAccess, formatPortSet } from "@wardline/domain/policy/access";
import { proposeRule, withTest } from "@wardline/domain/policy/from-flow";
import { describeCounterexample, proveTests } from "@wardline/domain/policy/proof";
import { toWireDiagnostic } from "@wardline/domain/wire";
import type { Workspace } from "../../policies/workspace.ts";
import { workspacePath } from "../../policies/workspace-path.ts";
import type { Clock } from "../../ports.ts";
import type { Guard } from "../../rpc/guard.ts";

export interface FlowActionsPorts {
  readonly workspace: Workspace;
  readonly clock: Clock;
}

const MAX_FLOWS = 100;
const MAX_NAME_LENGTH = 600;
const MAX_BECAUSE = 500;
const MAX_EFFECTS = 200;
const MAX_DIAGNOSTICS = 100;
const TEST_FILE = "tests-from-flows.yaml";

interface Basis {
  readonly files: readonly SourceFile[];
  readonly world: PolicyWorld;
  readonly nowMs: number;
  readonly revisionOf: (path: string) => bigint;
}

export class FlowActionsServiceImpl {
  readonly #ports: FlowActionsPorts;

  constructor(ports: FlowActionsPorts) {
    this.#ports = ports;
  }

  routes(guard: Guard): ServiceImpl<typeof FlowActionsService> {
    return {
      proposeRule: guard.unary((request: ProposeRuleRequest, signal) => this.proposeRule(request, signal)),
      proposeTest: guard.unary((request: ProposeTestRequest) => this.proposeTest(request)),
    };
  }

  /** @throws Failure INVALID_ARGUMENT, NOT_FOUND, POLICY_INVALID */
  async proposeRule(request: ProposeRuleRequest, signal: AbortSignal) {
    const { files, world, nowMs, revisionOf } = this.#basis();
    const wanted = requireVerdict(request.wanted);
    const flows = flowsOf(world, request.flows);
    let path = request.path === "" ? "" : workspacePath(request.path);
    let [current, texts] = [world, files];
    let before: string | null = null;
    const remarks = new Set<string>();
    for (const flow of flows) {
      // Each takes as long as reading the workspace some times: others are answered in between.
      await setImmediate();
      signal.throwIfAborted();
      const proposal = proposeRule(texts, current, flow, wanted, path, nowMs);
      path = proposal.path;
      before ??= proposal.before;
      current = proposal.world;
      if (proposal.remark !== "") remarks.add(proposal.remark);
      texts = [...texts.filter((file) => file.path !== path), { path, text: proposal.after }];
    }
    const after = texts.find((file) => file.path === path)?.text ?? "";
    const { rows, leftOut } = diffAccess(createAccessModel(world), createAccessModel(current), { limit: MAX_EFFECTS });
    return create(ProposeRuleResponseSchema, {
      ...{ path, before: before ?? "", after, baseRevision: revisionOf(path) },
      effects: rows.map(({ change, from, to, ports }) => {
        const isGained = change === "gained";
        const [could, can] = isGained ? ["could not", "may"] : ["could", "may no longer"];
        return {
          sentence: `${from.text} ${can} connect to ${to.text} on ${formatPortSet(ports)}; it ${could} before`,
          before: isGained ? WireVerdict.DENY : WireVerdict.ALLOW,
          after: isGained ? WireVerdict.ALLOW : WireVerdict.DENY,
        };
      }),
      effectCount: BigInt(rows.length + leftOut),
      diagnostics: this.#diagnosticsOf(texts),
      remark: [...remarks].slice(0, 5).join(" "),
    });
  }

  /** @throws Failure INVALID_ARGUMENT, NOT_FOUND, POLICY_INVALID */
  proposeTest(request: ProposeTestRequest) {
    const { files, world, revisionOf } = this.#basis();
    const path = request.path === "" ? TEST_FILE : workspacePath(request.path);
    const before = files.find((file) => file.path === path)?.text ?? "";
    if (request.because.length > MAX_BECAUSE) throw invalid(`A reason has at most ${MAX_BECAUSE} characters.`);
    const { tests: former } = readPolicyFiles(files);
    const input = {
      flows: flowsOf(world, request.flows),
      expected: requireVerdict(request.expected),
      because: request.because,
      taken: new Set(former.map(({ key }) => key.slice(key.lastIndexOf("/") + 1))),
    };
    const after = withTest(before, input);
    const next = [...files.filter((file) => file.path !== path), { path, text: after }];
    const { tests } = readPolicyFiles(next);
    const added = tests.filter(({ key }) => !former.some((test) => test.key === key));
    const failed = proveTests(world, added).cases.filter(({ status }) => status !== "holds");
    const counterexample = failed[0]?.counterexample;
    const reason =
      failed.length === 0
        ? ""
        : `The workspace does not do so now${counterexample ? `: ${describeCounterexample(counterexample)}` : ""}.`;
    return create(ProposeTestResponseSchema, {
      ...{ path, before, after, baseRevision: revisionOf(path) },
      ...{ passes: added.length > 0 && failed.length === 0, reason },
      diagnostics: this.#diagnosticsOf(next),
    });
  }

  #basis(): Basis {
    const { files, reading } = this.#ports.workspace.snapshot();
    if (!reading.ok) {
      throw new Failure({
        code: ErrorCode.POLICY_INVALID,
        message: "The policies have errors, so nobody can say what a change of them would do.",
        hint: "Correct them first; each error says where it is.",
        diagnostics: reading.diagnostics.filter(({ severity }) => severity === "error").slice(0, MAX_DIAGNOSTICS),
      });
    }
    const nowMs = this.#ports.clock.nowMs();
    // Of the text that the change begins with: somebody may save another one meanwhile.
    const revisionOf = (path: string) => BigInt(files.find((file) => file.path === path)?.revision ?? 0);
    return { files, world: withoutExpired(reading.world, nowMs), nowMs, revisionOf };
  }

  #diagnosticsOf(files: readonly SourceFile[]) {
    return readPolicyFiles(files).diagnostics.slice(0, MAX_DIAGNOSTICS).map(toWireDiagnostic);
  }
}

function flowsOf(world: PolicyWorld, seen: readonly SeenFlow[]): readonly PolicyFlow[] {
  if (seen.length === 0 || seen.length > MAX_FLOWS)
    throw invalid(`1 to ${MAX_FLOWS} connections can be taken at once.`);
  return seen.map(({ from, to, protocol, port }) => {
    if (from.length > MAX_NAME_LENGTH || to.length > MAX_NAME_LENGTH) throw invalid("The name of an end is too long.");
    if (protocol > 255 || port > 65_535) throw invalid(`There is no protocol ${protocol} with port ${port}.`);
    const ends = resolveFlowEnds(world, from, to, { family: from.includes(":") || to.includes(":") ? 6 : 4 });
    return { ...ends, protocol, port };
  });
}

function requireVerdict(wire: WireVerdict): Verdict {
  if (wire === WireVerdict.ALLOW) return "allow";
  if (wire === WireVerdict.DENY) return "deny";
  throw invalid("Say whether it should be allowed or denied.");
}

function invalid(message: string): Failure {
  return new Failure({ code: ErrorCode.INVALID_ARGUMENT, message });
}
