import { ConnectError } from "@connectrpc/connect";
import { ExplainBasis } from "@wardline/api/wardline/console/v1/policies";
import { Verdict } from "@wardline/api/wardline/v1/policy";
import { ErrorCode } from "@wardline/domain/errors";
import { failureFromConnectError } from "@wardline/domain/wire";
import { afterEach, expect, it } from "vitest";
import { startTestConsole, type TestConsole } from "../testing/console.ts";

let tester: TestConsole;
afterEach(() => tester?.close());

it("cuts a host off by its id or name, shows it, explains with it, and lifts it", async () => {
  tester = startTestConsole();
  const answer = await tester.hosts.setQuarantine({
    hostId: "local",
    managementCidrs: ["192.0.2.1/32"],
    reason: "odd",
  });
  expect(answer).toMatchObject({
    hostName: "alpha",
    status: { quarantines: [{ subjectKey: "Host/alpha", reason: "odd" }] },
  });
  const question = { from: "192.0.2.9", to: "alpha", protocol: 6, port: 443, basis: ExplainBasis.WORKSPACE };
  const decided = async () => (await tester.policies.explain(question)).evaluation;
  await expect.poll(async () => (await decided())?.verdict).toBe(Verdict.DENY);
  const keys = (await decided())?.directions.flatMap(({ decision }) => decision?.policyKeys ?? []);
  expect(keys).toEqual(["wardline.io/quarantine/Host/alpha"]);
  await tester.hosts.setQuarantine({ hostId: "alpha", subject: "Host/alpha", lifted: true });
  await expect.poll(async () => (await decided())?.verdict).toBe(Verdict.ALLOW);
});

it("names a host that is not there", async () => {
  tester = startTestConsole();
  const failure = await tester.hosts.setQuarantine({ hostId: "beta" }).catch(ConnectError.from);
  expect(failureFromConnectError(failure)?.code).toBe(ErrorCode.NOT_FOUND);
});
