/** What one endpoint says about itself. */
import { create } from "@bufbuild/protobuf";
import { type StoreEndpoint, StoreEndpointSchema } from "@wardline/api/wardline/v1/cluster";
import type { CallOptions } from "../clusterStore.ts";
import type { Endpoint } from "./endpointPool.ts";

const STATUS_LIMIT_MS = 2000;
const MAX_PROBLEM_LENGTH = 300;

/** Never throws. */
export async function askStatus(
  endpoint: Endpoint,
  { signal, timeoutMs = STATUS_LIMIT_MS }: CallOptions,
): Promise<StoreEndpoint> {
  const limit = AbortSignal.timeout(timeoutMs);
  const aborted = signal ? AbortSignal.any([signal, limit]) : limit;
  try {
    await endpoint.connection.open();
    const beganMs = performance.now();
    const status = await endpoint.maintenance.status({}, { signal: aborted, timeoutMs });
    const latencyMs = performance.now() - beganMs;
    return create(StoreEndpointSchema, {
      endpoint: endpoint.url,
      reachable: true,
      latencyUs: BigInt(Math.round(latencyMs * 1000)),
      serverVersion: status.version,
      memberId: (status.header?.memberId ?? 0n).toString(16),
      leaderId: status.leader === 0n ? "" : status.leader.toString(16),
      raftTerm: status.raftTerm,
      raftIndex: status.raftIndex,
      databaseBytes: status.dbSize,
      alarms: alarmsIn(status.errors),
      problem: status.leader === 0n ? "knows no leader" : "",
    });
  } catch (error) {
    const problem = limit.aborted ? "no answer in time" : error instanceof Error ? error.message : String(error);
    return create(StoreEndpointSchema, { endpoint: endpoint.url, problem: problem.slice(0, MAX_PROBLEM_LENGTH) });
  }
}

/** Lines like `memberID:123 alarm:NOSPACE `. */
function alarmsIn(errors: readonly string[]): string[] {
  return [...new Set(errors.flatMap((line) => /alarm:\s*([A-Z]+)/.exec(line)?.[1] ?? []))];
}
