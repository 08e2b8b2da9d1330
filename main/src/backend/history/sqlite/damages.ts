/** Damaged files: out of the way, told, and what was only in them asked for again. */
import { basename } from "node:path";
import { ErrorCode } from "@wardline/domain/errors";
import type { Logger } from "../../ports.ts";
import type { Catalog, Partition } from "./catalog.ts";
import type { HostGap } from "./layout.ts";
import { parseStem } from "./layout.ts";
import type { RecordWriter } from "./record-writer.ts";

export interface DamagesPorts {
  readonly catalog: Catalog;
  readonly writer: RecordWriter;
  readonly release: (path: string) => Promise<void>;
  readonly logger: Logger;
}

export class Damages {
  readonly #ports: DamagesPorts;
  /** By path: two questions may meet the same file. */
  readonly #underWay = new Map<string, Promise<void>>();

  constructor(ports: DamagesPorts) {
    this.#ports = ports;
  }

  /** The process that writes moves it aside; any other leaves it out. */
  async found(path: string, reason: string): Promise<void> {
    const known = this.#underWay.get(path) ?? this.#handle(path, reason);
    this.#underWay.set(path, known);
    try {
      await known;
    } finally {
      this.#underWay.delete(path);
    }
  }

  /** For the person who looks at the history. */
  async problems(): Promise<readonly string[]> {
    const { catalog } = this.#ports;
    const files = await catalog.damaged();
    if (files.length === 0) return [];
    const gaps = await this.#gaps();
    const batches = gaps.reduce((sum, gap) => sum + gap.lastSequence - gap.firstSequence + 1, 0);
    const rest =
      batches > 0
        ? `${batches} batches that were only in them are read again from the hosts that have them`
        : "what the hosts still had of it was read again";
    const code = ErrorCode[ErrorCode.HISTORY_DAMAGED];
    return [`${code}: ${files.length} damaged files were moved to ${catalog.damagedDirectory}; ${rest}.`];
  }

  /** For answers that may lack records. */
  async missing(): Promise<readonly string[]> {
    const gaps = await this.#gaps();
    if (gaps.length === 0) return [];
    const hosts = new Set(gaps.map(({ hostId }) => hostId)).size;
    return [`records of ${hosts} ${hosts === 1 ? "host" : "hosts"} were in a damaged file and are read again`];
  }

  async #gaps(): Promise<readonly HostGap[]> {
    const { writer } = this.#ports;
    return writer.leaf === null ? [] : await writer.allGaps().catch(() => []);
  }

  async #handle(path: string, reason: string): Promise<void> {
    const { catalog, writer, release, logger } = this.#ports;
    const stem = basename(path).replace(/\.db(\.new)?$/, "");
    if (!parseStem(stem)) return;
    const isActive = writer.leaf === null;
    const partitions = await catalog.list();
    const damaged = partitions.find((partition) => partition.stem === stem);
    if (!damaged) return;
    logger.error({ file: stem, reason, code: ErrorCode.HISTORY_DAMAGED }, "a file of the history is damaged");
    // Without the writing, nothing is ours to move; except the newest leaf while it is being taken over.
    if (isActive && damaged.description) {
      catalog.avoid(stem);
      return;
    }
    const gaps = lostRanges(partitions, damaged);
    // Before the file goes: after a crash in between it is found again.
    if (gaps.length > 0) await writer.addGaps(gaps);
    await release(path);
    await catalog.moveAside(stem);
  }
}

/** Sequences of leaves that no other file has. */
export function lostRanges(partitions: readonly Partition[], damaged: Partition): readonly HostGap[] {
  const others = partitions.filter(({ stem }) => stem !== damaged.stem);
  const isLost = (leaf: number) => !others.some(({ firstLeaf, lastLeaf }) => firstLeaf <= leaf && lastLeaf >= leaf);
  return (damaged.description?.ingested ?? [])
    .filter(({ leaf }) => isLost(leaf))
    .map(({ hostId, journalId, firstSequence, lastSequence }) => ({ hostId, journalId, firstSequence, lastSequence }));
}
