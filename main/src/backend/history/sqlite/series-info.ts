/** Who talked to whom, as a partition knows it by the number of a series. */
import { IDENTITY_COLUMNS } from "./layout.ts";
import type { OpenFile } from "./open-file.ts";

export interface SeriesInfo {
  readonly hostId: string;
  readonly host: string;
  /** `wardline.v1.Direction`, `Verdict` and `FlowHook`. */
  readonly direction: number;
  readonly verdict: number;
  readonly enforced: number;
  readonly hook: number;
  readonly protocol: number;
  readonly source: string;
  readonly destination: string;
  readonly port: number;
  readonly sourceName: string;
  readonly destinationName: string;
  readonly observedName: string;
  /** `wardline.v1.Decision`; `null` when the record had none. */
  readonly decision: Uint8Array | null;
  readonly policyKeys: readonly string[];
  readonly summary: string;
  readonly subject: string;
  readonly cgroup: string;
  readonly hasProcess: boolean;
  readonly userId: number;
  readonly userName: string;
  readonly command: string;
  readonly executable: string;
}

type Identity = Record<(typeof IDENTITY_COLUMNS)[number], number>;

interface DecisionRow {
  readonly wire: Buffer;
  readonly policy_keys: string;
  readonly summary: string;
}

const SELECT = `SELECT ${IDENTITY_COLUMNS.join(", ")} FROM series WHERE id = ?`;

/** Kept for one query: the same few series come again and again. */
export class SeriesReader {
  readonly #known = new Map<number, SeriesInfo>();

  read(file: OpenFile, id: number): SeriesInfo {
    const known = this.#known.get(id);
    if (known) return known;
    const info = readSeries(file, id);
    this.#known.set(id, info);
    return info;
  }
}

function readSeries(file: OpenFile, id: number): SeriesInfo {
  const row = file.get<Identity>(SELECT, id);
  if (!row) throw new TypeError(`There is no series ${id} in ${file.path}.`);
  const text = (number: number) =>
    number === 0 ? "" : (file.get<{ text: string }>("SELECT text FROM texts WHERE id = ?", number)?.text ?? "");
  const address = (number: number) =>
    file.get<{ text: string }>("SELECT text FROM addresses WHERE id = ?", number)?.text ?? "";
  const decision = file.get<DecisionRow>("SELECT * FROM decisions WHERE id = ?", row.decision);
  return {
    hostId: text(row.host_id),
    host: text(row.host),
    direction: row.direction,
    verdict: row.verdict,
    enforced: row.enforced,
    hook: row.hook,
    protocol: row.protocol,
    source: address(row.source),
    destination: address(row.destination),
    port: row.port,
    sourceName: text(row.source_name),
    destinationName: text(row.destination_name),
    observedName: text(row.observed_name),
    decision: decision ? new Uint8Array(decision.wire) : null,
    policyKeys: decision && decision.policy_keys !== "" ? decision.policy_keys.split("\n") : [],
    summary: decision?.summary ?? "",
    subject: text(row.subject),
    cgroup: text(row.cgroup),
    hasProcess: row.has_process === 1,
    userId: row.user_id,
    userName: text(row.user_name),
    command: text(row.command),
    executable: text(row.executable),
  };
}
