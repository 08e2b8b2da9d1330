/** Which machines this console manages: adding, importing, editing, checking, trusting and forgetting them. */
import { randomUUID } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import * as wire from "@wardline/api/wardline/console/v1/fleet";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { aliasProblem, INVENTORY_LIMITS, readInventory } from "@wardline/domain/fleet";
import { failureToDetail, toWireDiagnostic } from "@wardline/domain/wire";
import { requireLabels } from "../hosts/host-document.ts";
import type { HostManager } from "../hosts/host-manager.ts";
import { LOCAL_HOST_ID, labelOf, type ManagedHost } from "../hosts/managed-host.ts";
import type { Workspace } from "../policies/workspace.ts";
import type { Clock } from "../ports.ts";
import type { QuestionDesk } from "../questions/question-desk.ts";
import type { Guard } from "../rpc/guard.ts";
import type { Candidates } from "../ssh/config/candidates.ts";
import type { HostKeyTrust, SshConnector } from "../ssh/ssh-session.ts";
import type { HostRecord } from "../store/managed-hosts-table.ts";
import { checkLocal, checkRemote } from "./check-host.ts";
import { documentsFor } from "./host-introduction.ts";
import { checkedAccess, checkedAlias, checkedEnvironment, checkedGroups, requireDistinct } from "./host-record.ts";
import { toInventoryEntry } from "./inventory-entry.ts";

const MOST_ADDED = 1_000;
const MOST_HOSTS = 5_000;
const FINGERPRINT = /^SHA256:[A-Za-z0-9+/]{43}$/;

export interface FleetServicePorts {
  readonly manager: HostManager;
  readonly workspace: Workspace;
  readonly clock: Clock;
  readonly connector: SshConnector & HostKeyTrust;
  readonly questions: QuestionDesk;
  /** What ~/.ssh/config names now. */
  readonly candidates: () => Promise<Candidates>;
}

export class FleetServiceImpl {
  readonly #ports: FleetServicePorts;

  constructor(ports: FleetServicePorts) {
    this.#ports = ports;
  }

  /** All but the agent's life on machines, which is the life cycle's. */
  routes(guard: Guard): Partial<ServiceImpl<typeof wire.FleetService>> {
    const { questions } = this.#ports;
    return {
      listCandidates: guard.unary((_request: wire.ListCandidatesRequest) => this.candidates()),
      readInventory: guard.unary((request: wire.ReadInventoryRequest) => this.readInventory(request)),
      addHosts: guard.unary((request: wire.AddHostsRequest) => this.add(request)),
      updateHost: guard.unary((request: wire.UpdateHostRequest) => this.update(request)),
      removeHost: guard.unary((request: wire.RemoveHostRequest) => this.remove(request)),
      checkHost: guard.stream((request: wire.CheckHostRequest, signal) => this.check(request, signal)),
      connectHost: guard.unary((request: wire.ConnectHostRequest, signal) => this.connect(request, signal)),
      trustHostKey: guard.unary((request: wire.TrustHostKeyRequest, signal) => this.trust(request, signal)),
      watchQuestions: guard.stream((_request: wire.WatchQuestionsRequest, signal) => questions.watch(signal)),
      answerQuestion: guard.unary(async (request: wire.AnswerQuestionRequest) => {
        await questions.answer(request);
        return create(wire.AnswerQuestionResponseSchema);
      }),
    };
  }

  async candidates() {
    const { candidates, problems } = await this.#ports.candidates();
    const records = this.#records();
    const known = new Set(records.flatMap(({ alias, access }) => [alias.toLowerCase(), access?.address.toLowerCase()]));
    return create(wire.ListCandidatesResponseSchema, {
      candidates: candidates.filter(({ alias }) => !known.has(alias.toLowerCase()) && aliasProblem(alias) === null),
      problems,
    });
  }

  readInventory(request: wire.ReadInventoryRequest) {
    if (request.text.length > INVENTORY_LIMITS.maxLength) {
      throw new Failure({
        code: ErrorCode.TOO_LARGE,
        message: `The file has ${request.text.length.toLocaleString("en")} characters; an inventory may have 1 MiB.`,
        hint: "Split it into several files.",
      });
    }
    const reading = readInventory(request.name.slice(0, 500), request.text);
    const known = new Set(this.#records().map(({ alias }) => alias.toLowerCase()));
    return create(wire.ReadInventoryResponseSchema, {
      entries: reading.hosts.map((host) => toInventoryEntry(host, known.has(host.alias.toLowerCase()))),
      diagnostics: reading.diagnostics.map(toWireDiagnostic),
      format: reading.format,
    });
  }

  /** All or none, with a Host document for each. @throws Failure INVALID_ARGUMENT, ALREADY_EXISTS, TOO_LARGE, DISK_FULL */
  add({ hosts }: wire.AddHostsRequest) {
    const { manager, workspace, clock } = this.#ports;
    requireCount(hosts.length, this.#records().length);
    const addedAtMs = clock.nowMs();
    const records = hosts.map((host, index) => toRecord(host, addedAtMs + index));
    for (const { labels } of hosts) requireLabels(labels);
    requireDistinct(records, this.#records());
    const documents = documentsFor(
      records.map(({ alias, access }, index) => ({
        alias,
        address: access?.address ?? "",
        labels: hosts[index]?.labels ?? {},
      })),
      workspace.snapshot(),
      new Date(addedAtMs).toISOString().slice(0, 10),
    );
    const named = records.map((record) => ({ ...record, documentName: documents.names.get(record.alias) ?? "" }));
    manager.add(named, () => workspace.putAll(documents.files));
    return create(wire.AddHostsResponseSchema, { hostIds: named.map(({ id }) => id) });
  }

  /** Replaces what was said of it; connects anew when the way to it has changed. */
  update(request: wire.UpdateHostRequest) {
    const { manager } = this.#ports;
    const host = manager.registry.byId(request.hostId);
    const said = { groups: checkedGroups(request.groups), environment: checkedEnvironment(request.environment) };
    if (host.local) {
      if (request.access || request.alias !== "") {
        throw new Failure({
          code: ErrorCode.INVALID_ARGUMENT,
          message:
            "The machine of the console has no alias and is reached without SSH; only its groups and environment can be changed.",
        });
      }
      manager.update({ ...host.record, ...said });
    } else {
      const access = checkedAccess(request.access);
      const alias = checkedAlias(request.alias || access.address);
      const record = { ...host.record, ...said, access, alias };
      requireDistinct(
        [record],
        this.#records().filter(({ id }) => id !== host.id),
      );
      manager.update(record);
    }
    return create(wire.UpdateHostResponseSchema);
  }

  /** Forgets it here. What it enforces, its flows and its receipts stay. */
  async remove({ hostId }: wire.RemoveHostRequest) {
    const { manager } = this.#ports;
    const host = manager.registry.byId(hostId);
    if (host.local) {
      throw new Failure({
        code: ErrorCode.INVALID_ARGUMENT,
        message: "The machine of the console cannot be removed.",
        hint: "To end enforcement on it: wardline agent release.",
      });
    }
    await manager.remove(host.id);
    return create(wire.RemoveHostResponseSchema);
  }

  check(request: wire.CheckHostRequest, signal: AbortSignal): AsyncGenerator<wire.CheckHostResponse> {
    const { connector } = this.#ports;
    const host = request.hostId === "" ? null : this.#ports.manager.registry.byId(request.hostId);
    if (host?.local) return checkLocal(host, signal);
    const access = checkedAccess(host?.record.access ?? request.access);
    const name = host ? labelOf(host) : access.address;
    return checkRemote(connector, { hostId: host?.id ?? "", name, access }, signal);
  }

  async connect({ hostId }: wire.ConnectHostRequest, signal: AbortSignal) {
    const host = this.#ports.manager.registry.byId(hostId);
    const { reachability, problem } = await host.connection.connect(signal);
    const answer = create(wire.ConnectHostResponseSchema, { reachability });
    if (problem) answer.problem = { ...failureToDetail(problem), host: labelOf(host) };
    return answer;
  }

  /** Writes the key that the person looked at; a host that waited for it connects. */
  async trust({ hostId, fingerprint, access }: wire.TrustHostKeyRequest, signal: AbortSignal) {
    if (!FINGERPRINT.test(fingerprint)) {
      throw new Failure({
        code: ErrorCode.INVALID_ARGUMENT,
        message: "The fingerprint is not one: it looks like SHA256:… with 43 characters, as ssh-keygen -l prints it.",
      });
    }
    const host = hostId === "" ? null : this.#ports.manager.registry.byId(hostId);
    const way = checkedAccess(requireRemote(host)?.record.access ?? access);
    const path = await this.#ports.connector.trust(way, fingerprint, { hostId, signal, isInteractive: true });
    host?.connection.retryNow();
    return create(wire.TrustHostKeyResponseSchema, { path });
  }

  #records(): readonly HostRecord[] {
    return this.#ports.manager.registry.hosts.map(({ record }) => record).filter(({ id }) => id !== LOCAL_HOST_ID);
  }
}

function toRecord({ alias, access, groups, environment }: wire.NewHost, addedAtMs: number): HostRecord {
  const way = checkedAccess(access);
  return {
    id: randomUUID(),
    alias: checkedAlias(alias || way.address),
    access: way,
    groups: checkedGroups(groups),
    environment: checkedEnvironment(environment),
    addedAtMs,
    documentName: "",
  };
}

function requireCount(added: number, present: number): void {
  if (added === 0) throw new Failure({ code: ErrorCode.INVALID_ARGUMENT, message: "No host was given." });
  if (added <= MOST_ADDED && added + present <= MOST_HOSTS) return;
  throw new Failure({
    code: ErrorCode.TOO_LARGE,
    message: `${added.toLocaleString("en")} hosts were given; ${MOST_ADDED.toLocaleString("en")} can be added at once, and ${MOST_HOSTS.toLocaleString("en")} managed.`,
  });
}

function requireRemote(host: ManagedHost | null): ManagedHost | null {
  if (!host?.local) return host;
  throw new Failure({
    code: ErrorCode.INVALID_ARGUMENT,
    message: "The machine of the console is reached without SSH.",
  });
}
