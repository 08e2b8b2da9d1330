/** Who may call what: every method of the agent, by real accounts of a host, through its real sshd. */
import { type ChildProcess, spawn } from "node:child_process";
import { connect } from "node:net";
import { join } from "node:path";
import type { DescMethod } from "@bufbuild/protobuf";
import { ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { Health } from "@wardline/api/grpc/health/v1/health";
import { AgentService } from "@wardline/api/wardline/agent/v1/agent";
import { AnomalyService } from "@wardline/api/wardline/agent/v1/anomaly";
import { ClusterService } from "@wardline/api/wardline/agent/v1/cluster";
import { MeshService } from "@wardline/api/wardline/agent/v1/mesh";
import { RecordService } from "@wardline/api/wardline/agent/v1/records";
import { ErrorCode } from "@wardline/api/wardline/v1/error";
import { Role } from "@wardline/api/wardline/v1/host";
import { failureFromConnectError } from "@wardline/domain/wire";
import { METHOD_RULES, methodName } from "@wardline/helper/server/methods";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { skipReason } from "../harness.ts";
import type { Account } from "./accounts.ts";
import { Fleet, fleetProblem } from "./fleet.ts";
import { accepts } from "./fleet-host.ts";

const problem = fleetProblem();
const ROLES = { viewer: Role.VIEWER, operator: Role.OPERATOR, admin: Role.ADMIN, root: Role.ADMIN } as const;
/** Last: it ends enforcement. */
const METHODS = [AgentService, ClusterService, RecordService, AnomalyService, MeshService, Health]
  .flatMap(({ method }): readonly DescMethod[] => Object.values(method))
  .sort((left, right) => Number(left.name === "Release") - Number(right.name === "Release"));

describe.skipIf(problem !== null)(`roles over SSH${skipReason(problem)}`, { timeout: 240_000 }, () => {
  let fleet: Fleet;
  const tunnels: ChildProcess[] = [];

  beforeAll(async () => {
    fleet = await Fleet.start({ hosts: [{ name: "web-1" }] });
  }, 240_000);
  afterAll(async () => {
    for (const tunnel of tunnels) tunnel.kill();
    await fleet?.close();
  }, 240_000);

  /** The agent's socket as it is seen by an account that logs in. */
  async function transportOf(account: Account): Promise<Transport> {
    const [host] = fleet.hosts;
    if (!host) throw new Error("no host");
    const path = join(fleet.directory, `${account}.sock`);
    const forward = ["-N", "-o", "ExitOnForwardFailure=yes", "-L", `${path}:/run/wardline/agent.sock`];
    const tunnel = spawn("ssh", [...forward, ...fleet.home.sshArguments(host, account)], { stdio: "ignore" });
    tunnels.push(tunnel);
    await expect.poll(() => accepts(path), { timeout: 40_000, interval: 20 }).toBe(true);
    return createGrpcTransport({ baseUrl: "http://agent", nodeOptions: { createConnection: () => connect(path) } });
  }

  it("gives every method to those who may call it, and to nobody else", async () => {
    const outcomes: Record<string, string[]> = {};
    for (const [account, role] of Object.entries(ROLES) as [keyof typeof ROLES, Role][]) {
      const transport = await transportOf(account);
      for (const method of METHODS) {
        const rule = METHOD_RULES.get(methodName(method));
        const mayCall = rule !== undefined && role >= rule.role;
        const outcome = await outcomeOf(transport, method);
        const wasRefused = outcome === "PERMISSION_DENIED";
        if (mayCall === wasRefused) outcomes[account] = [...(outcomes[account] ?? []), `${method.name}: ${outcome}`];
      }
    }
    expect(METHODS).toHaveLength(METHOD_RULES.size);
    expect(outcomes).toEqual({});
  });

  it("names the account in the audit log, also where it refused", async () => {
    const { entries } = await createClient(AgentService, await transportOf("viewer")).listAudit({ limit: 100 });
    const of = (actor: string) => entries.filter((entry) => entry.actor.startsWith(`${actor} (`));
    expect(of("viewer").map(({ role, outcome }) => [role, outcome])).toContainEqual([Role.VIEWER, "refused"]);
    expect(of("operator").map(({ action }) => action)).toContain("release");
    expect(of("stranger")).toEqual([]);
  });

  it("lets an account without a group not even open the socket", async () => {
    const transport = await transportOf("stranger");
    await expect(createClient(AgentService, transport).handshake({ apiMin: 1, apiMax: 100 })).rejects.toThrow();
    expect(await outcomeOf(transport, AgentService.method.getStatus)).toMatch(/^grpc/);
  });
});

type AnyCall = (request: object, options: object) => unknown;

/** Calls a method with an empty request. `ok`, the name of an error code, or `grpc N` for an error of the transport. */
async function outcomeOf(transport: Transport, method: DescMethod): Promise<string> {
  const client = createClient(method.parent, transport) as unknown as Record<string, AnyCall>;
  try {
    const call = client[method.localName] as AnyCall;
    const leave = new AbortController();
    const answer = call({}, { signal: leave.signal, timeoutMs: 20_000 });
    if (method.methodKind === "server_streaming") {
      for await (const _ of answer as AsyncIterable<unknown>) break;
      leave.abort();
    } else await answer;
    return "ok";
  } catch (error) {
    const failure = failureFromConnectError(error);
    if (failure) return ErrorCode[failure.code];
    return error instanceof ConnectError ? `grpc ${error.code}` : String(error);
  }
}
