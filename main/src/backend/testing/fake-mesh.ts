/** An agent's meshes and their healing, told as the contract says; and things to tell. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { WatchMeshResponse } from "@wardline/api/wardline/agent/v1/mesh";
import {
  type HealingKnowledge,
  HealingMode,
  type HealingRun,
  HealingRunSchema,
  HealingSettingsSchema,
  HealingState,
  MeshFault,
  type MeshObservation,
  MeshObservationSchema,
  type MeshPeerSchema,
  MeshProvider,
  MeshProviderState,
} from "@wardline/api/wardline/v1/mesh";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { failureToConnectError, timestampOf } from "@wardline/domain/wire";
import { ChangeSignal } from "../async/signal.ts";
import type { FakeAgent } from "./fake-agent.ts";

/** Observations of one session are in order. */
let newest = 0n;

/** 64 hex digits. */
export const meshKey = (seed: number): string => seed.toString(16).padStart(2, "0").repeat(32);

export function peerOf(seed: number, over: MessageInitShape<typeof MeshPeerSchema> = {}) {
  const base = { key: meshKey(seed), uri: `tls://192.0.2.${seed}:4443`, up: true, configured: true, latencyMs: 4 };
  return { ...base, ...over };
}

export function observationOf(
  host: string,
  seed: number,
  peers: readonly MessageInitShape<typeof MeshPeerSchema>[],
  over: MessageInitShape<typeof MeshObservationSchema> = {},
): MeshObservation {
  const now = timestampOf(Date.now());
  return create(MeshObservationSchema, {
    ...{ host, sessionId: "s", sequence: ++newest, observedAt: now },
    providers: [
      {
        ...{ provider: MeshProvider.YGGDRASIL, state: MeshProviderState.UP, generation: "0.5", version: "0.5.12" },
        ...{ self: { key: meshKey(seed) }, peers: [...peers], since: now, measuredAt: now, interfaceName: "ygg0" },
        capabilities: ["peers", "add-peer", "remove-peer", "latency"],
      },
    ],
    ...over,
  });
}

export function runOf(id: string, over: MessageInitShape<typeof HealingRunSchema> = {}): HealingRun {
  const at = timestampOf(Date.now() - 5_000);
  return create(HealingRunSchema, {
    ...{ id, fault: MeshFault.DAEMON_DOWN, target: "daemon/yggdrasil/web-1", cause: "The daemon on web-1 ended." },
    ...{ confidence: 0.9, hosts: ["web-1"], mode: HealingMode.SUGGEST, state: HealingState.WAITING_FOR_APPROVAL },
    ...{ firstSymptomAt: at, detectedAt: at, coordinator: "web-1" },
    ...over,
  });
}

export class FakeMesh {
  readonly changes = new ChangeSignal();
  observation: MeshObservation;
  runs = new Map<string, HealingRun>();
  settings = create(HealingSettingsSchema, { mode: HealingMode.SUGGEST });
  knowledge: HealingKnowledge[] = [];
  coordinator: string;
  healingProblem = "";
  refusal: Failure | null = null;
  streams = 0;
  readonly calls: { readonly name: string; readonly request: unknown }[] = [];
  /** Sent first, whatever they say. */
  odd: Partial<WatchMeshResponse>[] = [];

  constructor(observation: MeshObservation) {
    this.observation = observation;
    this.coordinator = observation.host;
  }

  see(observation: MeshObservation): void {
    this.observation = observation;
    this.changes.notify();
  }

  put(...runs: HealingRun[]): void {
    for (const run of runs) this.runs.set(run.id, run);
    this.changes.notify();
  }

  get routes(): NonNullable<FakeAgent["mesh"]> {
    const self = this;
    const call = (name: string, request: unknown) => {
      this.calls.push({ name, request });
      if (this.refusal) throw failureToConnectError(this.refusal);
    };
    return {
      getMesh: () => self.#whole(),
      async *watchMesh(_request, { signal }) {
        self.streams += 1;
        for (const message of self.odd) yield message as WatchMeshResponse;
        for (let sequence = BigInt(self.odd.length + 1); !signal.aborted; sequence++) {
          const seen = self.changes.version;
          yield { sequence, ...self.#whole() };
          await self.changes.wait(seen, 2_000, signal);
        }
      },
      addPeer: (request) => {
        call("addPeer", request);
        return { effects: [`The daemon dials ${request.uri}.`] };
      },
      removePeer: (request) => {
        call("removePeer", request);
        return { effects: [`The daemon leaves ${request.uri}.`] };
      },
      decideHealing: (request) => {
        call("decideHealing", request);
        const run = this.runs.get(request.runId);
        if (!run) throw failureToConnectError(new Failure({ code: ErrorCode.NOT_FOUND, message: "no such run" }));
        this.put(create(HealingRunSchema, { ...run, state: HealingState.EXECUTING, approvedBy: "test (1000)" }));
        return { run: this.runs.get(request.runId)! };
      },
      configureHealing: (request) => {
        call("configureHealing", request);
        if (request.settings) this.settings = request.settings;
        this.changes.notify();
        return { settings: this.settings };
      },
      resetHealingKnowledge: (request) => {
        call("resetHealingKnowledge", request);
        this.knowledge = [];
        this.changes.notify();
        return { at: timestampOf(Date.now()) };
      },
    };
  }

  #whole() {
    const { observation, settings, knowledge, coordinator, healingProblem } = this;
    return { observation, runs: [...this.runs.values()], settings, knowledge, coordinator, healingProblem };
  }
}
