import type { DescService } from "@bufbuild/protobuf";
import { createClient, createRouterTransport } from "@connectrpc/connect";
import { ActivityService } from "@wardline/api/wardline/console/v1/activity";
import { AuditService } from "@wardline/api/wardline/console/v1/audit";
import { FleetService } from "@wardline/api/wardline/console/v1/fleet";
import { FlowService } from "@wardline/api/wardline/console/v1/flows";
import { HostService } from "@wardline/api/wardline/console/v1/hosts";
import { JobService } from "@wardline/api/wardline/console/v1/jobs";
import { PolicyService } from "@wardline/api/wardline/console/v1/policies";
import { RolloutService } from "@wardline/api/wardline/console/v1/rollout";
import { ShipService } from "@wardline/api/wardline/console/v1/ship";
import { ErrorCode } from "@wardline/domain/errors";
import { failureFromConnectError } from "@wardline/domain/wire";
import { afterEach, beforeEach, expect, it } from "vitest";
import { startTestConsole, type TestConsole } from "../testing/console.ts";

const SERVICES: readonly DescService[] = [
  ActivityService,
  AuditService,
  FleetService,
  FlowService,
  HostService,
  JobService,
  PolicyService,
  RolloutService,
  ShipService,
];

/** By name: a call that begins so only reads, but for the two that let connections be made. */
const READS = /^(watch|list|get|query|check|explain|simulate|preview|read|verify|plan)|^(connectHost|answerQuestion)$/;

let tester: TestConsole;
beforeEach(() => {
  tester = startTestConsole(undefined, { isReadOnly: true });
});
afterEach(() => tester.close());

async function codeOf(service: DescService, method: string): Promise<ErrorCode | null> {
  const client = createClient(
    service,
    createRouterTransport((router) => tester.backend.routes(router)),
  ) as unknown as Record<string, (request: object, options: object) => Promise<unknown> | AsyncIterable<unknown>>;
  try {
    const answer = client[method]?.({}, { signal: AbortSignal.timeout(3_000) });
    if (answer && Symbol.asyncIterator in answer) for await (const _ of answer) break;
    else await answer;
    return null;
  } catch (error) {
    return failureFromConnectError(error)?.code ?? null;
  }
}

it.each(
  SERVICES.flatMap((service) => service.methods.map(({ localName }) => [service.name, localName, service] as const)),
)("read-only mode: %s %s", async (_service, method, service) => {
  const code = await codeOf(service, method);
  if (READS.test(method)) expect(code).not.toBe(ErrorCode.READ_ONLY);
  else expect(code).toBe(ErrorCode.READ_ONLY);
});

it("is told to whoever asks", async () => {
  expect((await tester.hosts.getSession({})).readOnly).toBe(true);
  const other = startTestConsole();
  expect((await other.hosts.getSession({})).readOnly).toBe(false);
  await other.close();
});
