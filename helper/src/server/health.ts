/** grpc.health.v1, for whatever supervises the agent. */
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import {
  type Health,
  HealthCheckResponseSchema,
  HealthCheckResponse_ServingStatus as Status,
} from "@wardline/api/grpc/health/v1/health";
import { AgentService } from "@wardline/api/wardline/agent/v1/agent";

const KNOWN_SERVICES: ReadonlySet<string> = new Set(["", AgentService.typeName]);
const LOOK_EVERY_MS = 1_000;

function delay(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener("abort", end);
  });
}

export function healthRoutes(isServing: () => boolean): ServiceImpl<typeof Health> {
  const statusOf = (service: string) => {
    if (!KNOWN_SERVICES.has(service)) return Status.SERVICE_UNKNOWN;
    return isServing() ? Status.SERVING : Status.NOT_SERVING;
  };
  return {
    check({ service }) {
      const status = statusOf(service);
      if (status === Status.SERVICE_UNKNOWN) throw new ConnectError(`unknown service ${service}`, Code.NotFound);
      return create(HealthCheckResponseSchema, { status });
    },
    async *watch({ service }, { signal }) {
      let told: Status | null = null;
      while (!signal.aborted) {
        const status = statusOf(service);
        if (status !== told) yield create(HealthCheckResponseSchema, { status });
        told = status;
        await delay(LOOK_EVERY_MS, signal);
      }
    },
  };
}
