/** What the editor asks beyond the text: the other files, and what the fleet has and does. */
import { create } from "@bufbuild/protobuf";
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import * as wire from "@wardline/api/wardline/console/v1/vocabulary";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { EndpointBook } from "../history/service/endpoint-book.ts";
import type { HostRegistry } from "../hosts/managed-host.ts";
import type { Clock } from "../ports.ts";
import type { Guard } from "../rpc/guard.ts";
import { type CountedFlows, countFlows } from "../store/flow-vocabulary.ts";
import type { Store } from "../store/store.ts";
import { WORKSPACE_LIMITS } from "./limits.ts";
import type { Workspace } from "./workspace.ts";

/** Counting takes a tenth of a second where many flows are kept; every window asks. */
const KEPT_MS = 10_000;
const MAX_RULES = 20_000;
const MAX_DISCOVERED = 2_000;

export interface VocabularyPorts {
  readonly store: Store;
  readonly workspace: Pick<Workspace, "snapshot">;
  readonly registry: Pick<HostRegistry, "hosts">;
  readonly book: Pick<EndpointBook, "known">;
  readonly clock: Clock;
}

export class VocabularyServiceImpl {
  readonly #ports: VocabularyPorts;
  #counted: { readonly sinceUs: number; readonly atMs: number; readonly flows: CountedFlows } | null = null;

  constructor(ports: VocabularyPorts) {
    this.#ports = ports;
  }

  routes(guard: Guard): ServiceImpl<typeof wire.VocabularyService> {
    return {
      getTexts: guard.unary((request: wire.GetTextsRequest) => this.texts(request)),
      getVocabulary: guard.unary((request: wire.GetVocabularyRequest) => this.vocabulary(request)),
    };
  }

  texts({ paths }: wire.GetTextsRequest) {
    if (paths.length > WORKSPACE_LIMITS.fileCount) {
      throw new Failure({
        code: ErrorCode.INVALID_ARGUMENT,
        message: `${paths.length} texts were asked for at once; up to ${WORKSPACE_LIMITS.fileCount} can be.`,
      });
    }
    const wanted = new Set(paths);
    const files = this.#ports.workspace.snapshot().files.filter(({ path }) => wanted.has(path));
    return create(wire.GetTextsResponseSchema, {
      files: files.map(({ path, text, revision }) => ({ path, text, revision: BigInt(revision) })),
    });
  }

  vocabulary({ since }: wire.GetVocabularyRequest) {
    const { registry, clock } = this.#ports;
    const { flows, atMs } = this.#count(since ? Math.max(0, timestampMs(since)) * 1000 : 0);
    const rules = new Map<string, ReturnType<typeof ruleUse>>();
    const use = (id: string) => {
      const known = rules.get(id) ?? ruleUse(id);
      rules.set(id, known);
      return known;
    };
    for (const { id, flows: count, denied, lastUs } of flows.decisions) {
      const rule = use(id);
      rule.flows += BigInt(count);
      rule.denied += BigInt(denied);
      rule.lastFlowMs = Math.max(rule.lastFlowMs, wholeMs(lastUs));
    }
    let hostsCounting = 0;
    for (const { connection } of registry.hosts) {
      const { status } = connection.state;
      if (!status || status.counters.length === 0) continue;
      hostsCounting += 1;
      const countedMs = status.observedAt ? timestampMs(status.observedAt) : clock.nowMs();
      for (const counter of status.counters) {
        const rule = use(counter.decisionId);
        rule.packets += counter.packets;
        rule.hostCount += 1;
        rule.countedMs = Math.min(rule.countedMs, countedMs);
        if (counter.lastSeen) rule.lastHitMs = Math.max(rule.lastHitMs, timestampMs(counter.lastSeen));
      }
    }
    return create(wire.GetVocabularyResponseSchema, {
      ports: flows.ports.map(({ protocol, port, flows: count, denied }) => ({
        protocol,
        port,
        flows: BigInt(count),
        denied: BigInt(denied),
      })),
      addresses: flows.addresses.map(({ address, name, flows: count }) => ({ address, name, flows: BigInt(count) })),
      rules: [...rules.values()].slice(0, MAX_RULES).map(toWireRule),
      discovered: this.#discovered(),
      flows: BigInt(flows.flows),
      ...(flows.sinceUs === null ? {} : { since: timestampFromMs(wholeMs(flows.sinceUs)) }),
      countedAt: timestampFromMs(atMs),
      hostsAsked: registry.hosts.length,
      hostsCounting,
    });
  }

  #count(sinceUs: number): { readonly flows: CountedFlows; readonly atMs: number } {
    const nowMs = this.#ports.clock.nowMs();
    const known = this.#counted;
    if (known && known.sinceUs === sinceUs && nowMs - known.atMs < KEPT_MS && nowMs >= known.atMs) return known;
    this.#counted = { sinceUs, atMs: nowMs, flows: countFlows(this.#ports.store, sinceUs) };
    return this.#counted;
  }

  /** Members and services that no file declares. */
  #discovered() {
    const { workspace, book } = this.#ports;
    const declared = new Set(workspace.snapshot().reading.world.inventory.endpoints.map(({ key }) => key));
    return book
      .known()
      .inventory.endpoints.filter(({ key }) => !declared.has(key))
      .slice(0, MAX_DISCOVERED)
      .map(({ kind, namespace, name, labels, addresses }) => ({
        kind: kind === "host" ? "member" : "service",
        ...{ namespace, name, addresses: [...addresses], labels: Object.fromEntries(labels) },
      }));
  }
}

/** Fractions of a millisecond are mostly no whole nanoseconds: a message with one cannot be sent. */
const wholeMs = (timeUs: number): number => Math.floor(timeUs / 1000);

function ruleUse(decisionId: string) {
  return {
    ...{ decisionId, flows: 0n, denied: 0n, lastFlowMs: 0, packets: 0n, hostCount: 0 },
    ...{ countedMs: Number.POSITIVE_INFINITY, lastHitMs: 0 },
  };
}

function toWireRule({ lastFlowMs, countedMs, lastHitMs, ...counts }: ReturnType<typeof ruleUse>) {
  return {
    ...counts,
    ...(lastFlowMs > 0 ? { lastFlow: timestampFromMs(lastFlowMs) } : {}),
    ...(Number.isFinite(countedMs) ? { countedAt: timestampFromMs(countedMs) } : {}),
    ...(lastHitMs > 0 ? { lastHit: timestampFromMs(lastHitMs) } : {}),
  };
}
