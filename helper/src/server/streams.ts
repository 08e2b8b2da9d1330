/** The two streams: status and flows. Both send at once, then on change, and end when the reader leaves. */
import { create } from "@bufbuild/protobuf";
import * as wire from "@wardline/api/wardline/agent/v1/agent";
import { FlowLossesSchema } from "@wardline/api/wardline/v1/flow";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { bootNsToWallMs, type Clock } from "../agent/clock.ts";
import type { StatusReader } from "../agent/status.ts";
import { FlowEncoder, flowsResponse } from "../flows/flowEncoder.ts";
import { type FlowHub, type FlowReader, KEPT_FLOWS } from "../flows/flowHub.ts";
import type { FlowSurroundings } from "../flows/flowMessage.ts";
import type { GenerationContexts } from "../generations/contexts.ts";
import type { GenerationController } from "../generations/controller.ts";
import { StreamSlots } from "./streamSlots.ts";

export interface StreamPorts {
  readonly status: StatusReader;
  readonly controller: GenerationController;
  readonly hub: FlowHub;
  readonly contexts: GenerationContexts;
  readonly clock: Clock;
  readonly hostName: string;
  readonly userNameOf: (userId: number) => string;
}

const STATUS_EVERY_MS = 2_000;
/** A flow stream without flows still says how much was lost. */
const LOSSES_EVERY_MS = 2_000;
function sleepUntil(signal: AbortSignal, timeoutMs: number, subscribe: (wake: () => void) => () => void) {
  return new Promise<void>((resolve) => {
    const wake = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", wake);
      unsubscribe();
      resolve();
    };
    const timer = setTimeout(wake, timeoutMs);
    const unsubscribe = subscribe(wake);
    signal.addEventListener("abort", wake, { once: true });
    if (signal.aborted) wake();
  });
}

export class Streams {
  readonly #ports: StreamPorts;
  readonly #encoder = new FlowEncoder();
  readonly #slots: StreamSlots;

  constructor(ports: StreamPorts, slots = new StreamSlots()) {
    this.#ports = ports;
    this.#slots = slots;
  }

  async *watchStatus(signal: AbortSignal): AsyncGenerator<wire.WatchStatusResponse> {
    const leave = this.#slots.enter();
    try {
      for (let sequence = 1n; !signal.aborted; sequence += 1n) {
        yield create(wire.WatchStatusResponseSchema, { sequence, status: this.#ports.status.read() });
        await sleepUntil(signal, STATUS_EVERY_MS, (wake) => this.#ports.controller.onChange(wake));
      }
    } finally {
      leave();
    }
  }

  async *watchFlows(history: number, signal: AbortSignal): AsyncGenerator<wire.WatchFlowsResponse> {
    if (history > KEPT_FLOWS) {
      const message = `At most ${KEPT_FLOWS} earlier flows are kept.`;
      throw new Failure({ code: ErrorCode.INVALID_ARGUMENT, message });
    }
    const leave = this.#slots.enter();
    const reader = this.#ports.hub.subscribe(history);
    try {
      for (let sequence = 1n; !signal.aborted; sequence += 1n) {
        yield this.#flowsMessage(sequence, reader);
        await reader.changed(LOSSES_EVERY_MS, signal);
      }
    } finally {
      reader.close();
      leave();
    }
  }

  #flowsMessage(sequence: bigint, reader: FlowReader): wire.WatchFlowsResponse {
    const { contexts, clock, hostName, hub, userNameOf } = this.#ports;
    const nowBootNs = clock.bootNs();
    const nowWallMs = bootNsToWallMs(clock, nowBootNs);
    const surroundings: FlowSurroundings = {
      hostName,
      userNameOf,
      contextOf: (generation) => contexts.get(generation),
      wallMsOf: (bootNs) => nowWallMs - Number(nowBootNs - bootNs) / 1e6,
    };
    const response = flowsResponse(sequence, this.#encoder.encode(reader.take(), surroundings));
    response.losses = create(FlowLossesSchema, { ...hub.losses(), readerLag: reader.lag });
    return response;
  }
}
