import type { DescService } from "@bufbuild/protobuf";
import { createClient, createRouterTransport } from "@connectrpc/connect";
import { ActivityService } from "@wardline/api/wardline/console/v1/activity";
import { AlertService } from "@wardline/api/wardline/console/v1/alerts";
import { AnomalyService } from "@wardline/api/wardline/console/v1/anomalies";
import { AskService } from "@wardline/api/wardline/console/v1/ask";
import { AuditService } from "@wardline/api/wardline/console/v1/audit";
import { ClusterService } from "@wardline/api/wardline/console/v1/cluster";
import { ConfigurationService } from "@wardline/api/wardline/console/v1/configuration";
import { FleetService } from "@wardline/api/wardline/console/v1/fleet";
import { FlowActionsService } from "@wardline/api/wardline/console/v1/flow_actions";
import { FlowService } from "@wardline/api/wardline/console/v1/flows";
import { HistoryService } from "@wardline/api/wardline/console/v1/history";
import { HostService } from "@wardline/api/wardline/console/v1/hosts";
import { JobService } from "@wardline/api/wardline/console/v1/jobs";
import { MeshService } from "@wardline/api/wardline/console/v1/mesh";
import { NotificationService } from "@wardline/api/wardline/console/v1/notifications";
import { PictureService } from "@wardline/api/wardline/console/v1/picture";
import { PolicyService } from "@wardline/api/wardline/console/v1/policies";
import { RolloutService } from "@wardline/api/wardline/console/v1/rollout";
import { SettingsService } from "@wardline/api/wardline/console/v1/settings";
import { ShipService } from "@wardline/api/wardline/console/v1/ship";
import { VerdictService } from "@wardline/api/wardline/console/v1/verdicts";
import { VersionService } from "@wardline/api/wardline/console/v1/versions";
import { VocabularyService } from "@wardline/api/wardline/console/v1/vocabulary";
import { ErrorCode } from "@wardline/domain/errors";
import { failureFromConnectError } from "@wardline/domain/wire";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startTestConsole, type TestConsole } from "../testing/console.ts";

const SERVICES: readonly DescService[] = [
  ActivityService,
  AlertService,
  AnomalyService,
  AskService,
  AuditService,
  ClusterService,
  ConfigurationService,
  FleetService,
  FlowService,
  FlowActionsService,
  HistoryService,
  HostService,
  JobService,
  MeshService,
  NotificationService,
  PictureService,
  PolicyService,
  RolloutService,
  SettingsService,
  ShipService,
  VerdictService,
  VersionService,
  VocabularyService,
];

/** By name: a call that begins so only reads, but for the two that let connections be made. */
const READS =
  /^(ask|complete|watch|list|get|query|check|explain|simulate|preview|read|verify|plan|search|find|group|compare|export|backtest|propose)|^(draftFor|connectHost|answerQuestion)$/;

let tester: TestConsole;
beforeAll(() => {
  tester = startTestConsole(undefined, { isReadOnly: true });
});
afterAll(() => tester.close());

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
