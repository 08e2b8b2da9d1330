/** What the fake machine enforces, what waits for confirmation there, and the service that changes it. */
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import type { Host } from "@wardline/api/wardline/console/v1/hosts";
import { ApplyStep, type Receipt, ReceiptOutcome, ReceiptSchema } from "@wardline/api/wardline/console/v1/ship";
import { ErrorCode } from "@wardline/api/wardline/v1/error";
import { type Generation, GenerationSchema } from "@wardline/api/wardline/v1/host";
import type { EnforcementMode } from "@wardline/api/wardline/v1/policy";
import { planHost } from "./fake-engine.ts";
import type { FakeFleet } from "./fake-fleet.ts";
import type { Scenario } from "./fake-scenarios.ts";
import { checkText, type FakeFile, failure } from "./fake-workspace.ts";

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

export interface FakeShipPorts {
  readonly scenario: Scenario;
  readonly files: ReadonlyMap<string, FakeFile>;
  readonly enforcedFiles: Map<string, string>;
  readonly host: Host;
  readonly fleet: FakeFleet;
  notify(): void;
  gate(): Promise<void>;
}

export class FakeShip {
  readonly #ports: FakeShipPorts;
  readonly receipts: Receipt[] = [];
  #previous: { files: Map<string, string>; generation: Generation | undefined } = {
    files: new Map(),
    generation: undefined,
  };
  #deadlineMs: number | null = null;
  #planCount = 0;

  constructor(ports: FakeShipPorts) {
    this.#ports = ports;
  }

  /** Says what the machine is like now; what was not confirmed in time has ended. */
  touchHost(): void {
    const nowMs = Date.now();
    const { status } = this.#ports.host;
    if (this.#ports.scenario.host === "lost" || this.#ports.scenario.host === "no-agent" || !status) return;
    this.#ports.host.lastHeardAt = timestampFromMs(nowMs - 300);
    status.observedAt = timestampFromMs(nowMs - 300);
    if (this.#deadlineMs === null || !status.pending) return;
    const remainingMs = this.#deadlineMs - nowMs;
    if (remainingMs <= 0) this.#end(ReceiptOutcome.EXPIRED);
    else
      status.pending.remaining = {
        $typeName: "google.protobuf.Duration",
        seconds: BigInt(Math.floor(remainingMs / 1000)),
        nanos: Math.floor(remainingMs % 1000) * 1_000_000,
      };
  }

  /** The draft is enforced from now on, until it is confirmed or the time is over. */
  setPending(mode: EnforcementMode, withinMs: number, reason: string): void {
    const status = this.#ports.host.status;
    if (!status) return;
    const nowMs = Date.now();
    this.#previous = { files: new Map(this.#ports.enforcedFiles), generation: status.enforced };
    const generation = create(GenerationSchema, {
      number: (status.enforced?.number ?? 0n) + 1n,
      programDigest: "c".repeat(64),
      mode,
      appliedAt: timestampFromMs(nowMs),
      appliedBy: "lena",
      policyCount: 2,
      ruleCount: 6,
    });
    this.#deadlineMs = nowMs + withinMs;
    status.pending = {
      $typeName: "wardline.v1.PendingConfirmation",
      generation,
      deadline: timestampFromMs(this.#deadlineMs),
      ...(status.enforced ? { previous: status.enforced } : {}),
    };
    status.enforced = generation;
    this.#ports.enforcedFiles.clear();
    for (const [path, file] of this.#ports.files) this.#ports.enforcedFiles.set(path, file.text);
    this.receipts.unshift(
      create(ReceiptSchema, {
        id: BigInt(this.receipts.length + 1),
        hostId: "local",
        generation,
        time: timestampFromMs(nowMs),
        author: "lena",
        reason,
        outcome: ReceiptOutcome.PENDING,
      }),
    );
    this.touchHost();
    this.#ports.notify();
  }

  #end(outcome: ReceiptOutcome): Generation {
    const status = this.#ports.host.status;
    const receipt = this.receipts[0];
    if (receipt) {
      receipt.outcome = outcome;
      receipt.endedAt = timestampFromMs(Date.now());
    }
    this.#deadlineMs = null;
    if (status) {
      delete status.pending;
      if (outcome !== ReceiptOutcome.CONFIRMED) {
        if (this.#previous.generation) status.enforced = this.#previous.generation;
        else delete status.enforced;
        this.#ports.enforcedFiles.clear();
        for (const [path, text] of this.#previous.files) this.#ports.enforcedFiles.set(path, text);
      }
    }
    this.#ports.notify();
    return status?.enforced ?? create(GenerationSchema);
  }

  service() {
    const ship = this;
    const ports = this.#ports;
    return {
      async plan() {
        await ports.gate();
        await sleep(120);
        const diagnostics = [...ports.files].flatMap(([path, file]) => checkText(path, file.text));
        ship.#planCount += 1;
        const plan = planHost({
          planId: `plan-${ship.#planCount}`,
          host: ports.host,
          files: ports.files,
          enforced: ports.enforcedFiles,
          diagnostics,
          hasFailingTest: ports.scenario.hasFailingTest ?? false,
        });
        const [own] = plan.hosts;
        // The same policies on every other machine that is there.
        for (const { id, problem } of ports.fleet.hosts)
          if (own) plan.hosts.push({ ...own, hostId: id, ...(problem ? { error: problem, accessChanges: [] } : {}) });
        return plan;
      },
      async *apply(request: {
        mode: EnforcementMode;
        confirmWithin?: { seconds: bigint } | undefined;
        reason: string;
        overrideFailedTestsReason: string;
      }) {
        await ports.gate();
        const { reason, overrideFailedTestsReason: override } = request;
        if (ports.scenario.hasFailingTest && override === "")
          throw failure(ErrorCode.POLICY_TESTS_FAILED, Code.FailedPrecondition, "1 policy test fails.");
        yield { hostId: "local", step: ApplyStep.SENDING };
        await sleep(250);
        if (ports.host.status?.pending)
          throw failure(
            ErrorCode.CONFIRMATION_PENDING,
            Code.FailedPrecondition,
            "Generation 42 is waiting for confirmation.",
            "Keep it or roll it back first.",
          );
        const kept = override === "" ? reason : `${reason} [applied although 1 policy test fails: ${override}]`;
        ship.setPending(request.mode, Number(request.confirmWithin?.seconds ?? 60n) * 1000, kept);
        yield {
          hostId: "local",
          step: ApplyStep.PENDING,
          ...(ports.host.status?.pending ? { pending: ports.host.status.pending } : {}),
          timings: { readUs: 410, compileUs: 1_930, fillUs: 620, selfTestUs: 380, flipUs: 3, totalUs: 3_343 },
        };
      },
      async confirm() {
        await ports.gate();
        return { generation: ship.#end(ReceiptOutcome.CONFIRMED) };
      },
      async rollback() {
        await ports.gate();
        return { generation: ship.#end(ReceiptOutcome.ROLLED_BACK) };
      },
      async listReceipts() {
        await ports.gate();
        return { receipts: ship.receipts };
      },
    };
  }
}
