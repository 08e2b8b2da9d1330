/** What readers will not see, by cause, kept in the store because the reader may be another process. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type FlowLosses, FlowLossesSchema } from "@wardline/api/wardline/v1/flow";
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

  /** Over several hosts. */
  sum(hostIds: readonly string[]): FlowLosses {
    const total = create(FlowLossesSchema);
    for (const hostId of hostIds) {
      const { ringFull, rateLimited, readerLag, notFollowed } = this.get(hostId);
      total.ringFull += ringFull;
      total.rateLimited += rateLimited;
      total.readerLag += readerLag;
      total.notFollowed += notFollowed;
    }
    return total;
  }
}

/** What was added since; a counter that began anew counts from zero. */
export function lossesSince(now: FlowLosses, before: FlowLosses, readerLag: bigint): FlowLosses {
  const grown = (current: bigint, base: bigint) => (current >= base ? current - base : current);
  return create(FlowLossesSchema, {
    ringFull: grown(now.ringFull, before.ringFull),
    rateLimited: grown(now.rateLimited, before.rateLimited),
    readerLag: grown(now.readerLag, before.readerLag) + readerLag,
    notFollowed: grown(now.notFollowed, before.notFollowed),
  });
}
