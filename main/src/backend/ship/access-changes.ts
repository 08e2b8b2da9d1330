/** Who gains and who loses access, weighed by what was really seen. */
import type { AccessChange as WireAccessChange } from "@wardline/api/wardline/console/v1/ship";
import type { RecordedAttempts } from "@wardline/domain/fleet";
import {
  type AccessChange,
  cidrContainsAddress,
  diffPrograms,
  type HostProgram,
  type Inventory,
  parseAddress,
} from "@wardline/domain/policy";
import { toWireAccessChange } from "@wardline/domain/wire";

export interface AccessComparison {
  /** `null` when nothing is enforced. */
  readonly old: HostProgram | null;
  readonly next: HostProgram;
  readonly inventory: Inventory;
  /** What the host recorded of late. */
  readonly recorded: readonly RecordedAttempts[];
}

export function describeAccessChanges(comparison: AccessComparison): { listed: WireAccessChange[]; leftOut: number } {
  const { old, next, inventory } = comparison;
  const { changes, leftOut } = diffPrograms(old, next, { inventory });
  if (changes.length === 0) return { listed: [], leftOut };
  const connections = comparison.recorded.map(withBytes);
  const listed = changes.map((change) =>
    toWireAccessChange(
      change,
      connections.reduce(
        (sum, seen) => (touches(change, seen) ? sum + BigInt(seen.started + seen.deniedPackets) : sum),
        0n,
      ),
    ),
  );
  return { listed, leftOut };
}

type SeenConnection = RecordedAttempts & { readonly bytes: Uint8Array | null };

function withBytes(connection: RecordedAttempts): SeenConnection {
  const parsed = parseAddress(connection.remoteAddress);
  return { ...connection, bytes: parsed.ok ? parsed.bytes : null };
}

function touches(change: AccessChange, seen: SeenConnection): boolean {
  const { bytes } = seen;
  if (bytes === null || change.subjectKey !== seen.subjectKey) return false;
  if (change.direction !== seen.direction) return false;
  const protocolFits =
    change.protocol === null ? !change.exceptProtocols.includes(seen.protocol) : change.protocol === seen.protocol;
  if (!protocolFits || seen.port < change.portLow || seen.port > change.portHigh) return false;
  return change.regions.some(
    ({ prefix, except }) =>
      cidrContainsAddress(prefix, bytes) && !except.some((hole) => cidrContainsAddress(hole, bytes)),
  );
}
