/** What readers will not see, by cause, kept in the store because the reader may be another process. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type FlowLosses, FlowLossesSchema } from "@wardline/api/wardline/v1/flow";
import type { HostRegistry } from "../hosts/managed-host.ts";
import type { SettingsTable } from "../store/settings-table.ts";

export class LossesTable {
  readonly #settings: SettingsTable;
  readonly #written = new Map<string, string>();

  constructor(settings: SettingsTable) {
    this.#settings = settings;
  }

  /** @param dropped flows that this console could not store in time */
  put(hostId: string, agent: FlowLosses, dropped: bigint): void {
    const { ringFull, rateLimited, readerLag, notFollowed } = agent;
    const sum = create(FlowLossesSchema, { ringFull, rateLimited, readerLag: readerLag + dropped, notFollowed });
    const encoded = Buffer.from(toBinary(FlowLossesSchema, sum)).toString("base64");
    if (this.#written.get(hostId) === encoded) return;
    this.#settings.set(`flow_losses:${hostId}`, encoded);
    this.#written.set(hostId, encoded);
  }

  get(hostId: string): FlowLosses {
    const encoded = this.#settings.text(`flow_losses:${hostId}`);
    return encoded ? fromBinary(FlowLossesSchema, Buffer.from(encoded, "base64")) : create(FlowLossesSchema);
  }
}

/** What one reader misses from when it began. Hosts come and go meanwhile: each counts from when it was first seen. */
export class LossesOfReader {
  readonly #losses: LossesTable;
  readonly #registry: HostRegistry;
  readonly #baselines = new Map<string, FlowLosses>();

  constructor(losses: LossesTable, registry: HostRegistry) {
    this.#losses = losses;
    this.#registry = registry;
    this.now(0n);
  }

  /** @param readerLag flows that the reader was too slow for */
  now(readerLag: bigint): FlowLosses {
    const total = create(FlowLossesSchema, { readerLag });
    for (const { id } of this.#registry.hosts) {
      const current = this.#losses.get(id);
      const baseline = this.#baselines.get(id);
      if (!baseline) this.#baselines.set(id, current);
      else addLosses(total, lossesSince(current, baseline));
    }
    return total;
  }
}

function addLosses(total: FlowLosses, more: FlowLosses): void {
  total.ringFull += more.ringFull;
  total.rateLimited += more.rateLimited;
  total.readerLag += more.readerLag;
  total.notFollowed += more.notFollowed;
}

/** What was added since; a counter that began anew counts from zero. */
function lossesSince(now: FlowLosses, before: FlowLosses): FlowLosses {
  const grown = (current: bigint, base: bigint) => (current >= base ? current - base : current);
  return create(FlowLossesSchema, {
    ringFull: grown(now.ringFull, before.ringFull),
    rateLimited: grown(now.rateLimited, before.rateLimited),
    readerLag: grown(now.readerLag, before.readerLag),
    notFollowed: grown(now.notFollowed, before.notFollowed),
  });
}
