/**
 * Verifies all files of the audit log as one chain and collects a page of it. A closed file is read again only when the page
 * needs it or when it was touched since: otherwise every question of a console would cost the whole log.
 */
import { type AuditEntry, type AuditPlace, mayBegin } from "@wardline/domain/audit";
import { type AuditScan, scanAuditFile } from "./auditFile.ts";
import type { PageCollector } from "./auditPages.ts";
import { statSegment } from "./auditSegments.ts";

/** What of the log is read: files are added or removed while somebody reads. */
export interface AuditView {
  /** Closed files, oldest first. */
  readonly closed: readonly string[];
  /** The file that is written, and how much of it is written. */
  readonly active: { readonly path: string; readonly sizeBytes: number };
}

export interface AuditReading {
  /** Of the oldest entry that is there; 0 = there is none. */
  readonly firstSequence: number;
  readonly last: AuditEntry | null;
  /** 0 = the chain is valid, and the log begins where it states. */
  readonly brokenAtSequence: number;
}

interface Known {
  readonly fingerprint: string;
  readonly before: AuditPlace | null | undefined;
  readonly scan: AuditScan;
}

const isSamePlace = (a: AuditPlace | null | undefined, b: AuditPlace | null | undefined) =>
  a === b || (a?.sequence === b?.sequence && a?.hash === b?.hash && (a === null) === (b === null));

export class AuditReader {
  /** Of closed files whose chain fits. */
  readonly #known = new Map<string, Known>();

  /** Throws the errors of the file system, and that of the signal. */
  async read(view: AuditView, page: PageCollector, signal?: AbortSignal): Promise<AuditReading> {
    const gone = new Set(this.#known.keys());
    let before: AuditPlace | null | undefined;
    let cut: AuditPlace | null = null;
    let first: AuditEntry | null = null;
    let last: AuditEntry | null = null;
    let brokenAtSequence = 0;
    for (const path of [...view.closed, view.active.path]) {
      gone.delete(path);
      const size = path === view.active.path ? view.active.sizeBytes : null;
      const scan = await this.#scan(path, size, before, page, signal);
      brokenAtSequence ||= scan.brokenAtSequence;
      cut = scan.cut ?? cut;
      first ??= scan.first;
      last = scan.last ?? last;
      before = last ?? before;
    }
    for (const path of gone) this.#known.delete(path);
    if (first && !mayBegin(first, cut)) brokenAtSequence = (cut?.sequence ?? 0) + 1;
    return { firstSequence: first?.sequence ?? 0, last, brokenAtSequence };
  }

  /** @param size how much of the file is read; `null` = it is closed and may be known */
  async #scan(
    path: string,
    size: number | null,
    before: AuditPlace | null | undefined,
    page: PageCollector,
    signal: AbortSignal | undefined,
  ): Promise<AuditScan> {
    const { sizeBytes, fingerprint } = size === null ? await statSegment(path) : { sizeBytes: size, fingerprint: "" };
    const known = this.#known.get(path);
    const isKnown = known?.fingerprint === fingerprint && isSamePlace(known.before, before);
    if (known && isKnown && !page.wants(known.scan.first?.sequence ?? 0, known.scan.last?.sequence ?? 0))
      return known.scan;
    const range = { path, sizeBytes, before, ...(signal ? { signal } : {}) };
    const scan = await scanAuditFile(range, page.visit);
    // A file without its last bytes, or none at all.
    const isCut = scan.completeBytes !== sizeBytes || scan.first === null;
    if (scan.brokenAtSequence > 0 || (isCut && sizeBytes > 0))
      return { ...scan, brokenAtSequence: scan.brokenAtSequence || ((scan.last ?? before)?.sequence ?? 0) + 1 };
    if (size === null && fingerprint !== "") this.#known.set(path, { fingerprint, before, scan });
    return scan;
  }
}

/** Of the file that is written, or of those before while it has none. */
export async function newestOf(closed: readonly string[], active: AuditScan): Promise<AuditEntry | null> {
  let { last } = active;
  for (const path of closed.toReversed()) {
    if (last) break;
    const { sizeBytes } = await statSegment(path);
    last = (await scanAuditFile({ path, sizeBytes, before: undefined }, () => {})).last;
  }
  return last;
}
