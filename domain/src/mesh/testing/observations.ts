/** Observations as hosts would send them, for tests and measurements. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type MeshObservation,
  MeshObservationSchema,
  type MeshPeerSchema,
  MeshProbeMethod,
  type MeshProbeSchema,
  MeshProvider,
  MeshProviderReportSchema,
  MeshProviderState,
} from "@wardline/api/wardline/v1/mesh";
import { timestampOf } from "../../wire/timestamp.ts";
import { yggdrasilAddress, yggdrasilSubnet } from "../yggdrasil-address.ts";

type PeerInit = MessageInitShape<typeof MeshPeerSchema>;
type ProbeInit = MessageInitShape<typeof MeshProbeSchema>;
type ReportInit = Exclude<MessageInitShape<typeof MeshProviderReportSchema>, { $typeName: string }>;

/** The key of the host with this number. */
export const keyAt = (index: number): string => (index + 1).toString(16).padStart(8, "0").repeat(8);

export const nameAt = (index: number): string => `web-${index}`;

export const peerOf = (index: number, init: Exclude<PeerInit, { $typeName: string }> = {}): PeerInit => ({
  key: keyAt(index),
  up: true,
  latencyMs: 5,
  ...init,
});

export const probeOf = (index: number, init: Exclude<ProbeInit, { $typeName: string }> = {}): ProbeInit => ({
  targetHost: nameAt(index),
  address: `192.0.2.${index}`,
  provider: MeshProvider.IP,
  method: MeshProbeMethod.ICMP,
  reachable: true,
  latencyMs: 2,
  loss: 0,
  pathMtuBytes: 1500,
  ...init,
});

export interface SaidByHost {
  readonly peers?: readonly PeerInit[];
  readonly probes?: readonly ProbeInit[];
  readonly report?: ReportInit;
  readonly sequence?: number;
  readonly session?: string;
  readonly name?: string;
  readonly key?: string;
  readonly problems?: readonly string[];
  /** By its own clock. */
  readonly observedAtMs?: number;
}

/** What the host with this number says of its Yggdrasil; without `peers` it has none. */
export function observationOf(index: number, said: SaidByHost = {}): MeshObservation {
  const { peers, probes = [], sequence = 1, session = "a", name = nameAt(index), key = keyAt(index) } = said;
  const at = timestampOf(said.observedAtMs ?? 1_000_000);
  const report = create(MeshProviderReportSchema, {
    provider: MeshProvider.YGGDRASIL,
    state: MeshProviderState.UP,
    generation: "0.5",
    version: "0.5.13",
    self: { key, address: yggdrasilAddress(key) ?? "", subnet: yggdrasilSubnet(key) ?? "" },
    peers: [...(peers ?? [])],
    measuredAt: at,
    ...said.report,
  });
  return create(MeshObservationSchema, {
    host: name,
    sessionId: session,
    sequence: BigInt(sequence),
    observedAt: at,
    providers: peers === undefined && said.report === undefined ? [] : [report],
    probes: [...probes],
    problems: [...(said.problems ?? [])],
  });
}

/** Says things in turn, with sequences that grow. */
export class Fleet {
  readonly #sequences = new Map<string, number>();

  next(index: number, said: SaidByHost = {}): MeshObservation {
    const name = said.name ?? nameAt(index);
    const sequence = (this.#sequences.get(name) ?? 0) + 1;
    this.#sequences.set(name, sequence);
    return observationOf(index, { sequence, ...said });
  }
}
