/** Collects one page of the audit log while all of it is walked. */
import type { AuditEntry } from "@wardline/domain/audit";

export interface PageCollector {
  readonly visit: (entry: AuditEntry) => void;
  /** Whether entries between these two may be in the page. */
  readonly wants: (firstSequence: number, lastSequence: number) => boolean;
  readonly entries: () => readonly AuditEntry[];
}

export const NO_PAGE: PageCollector = { visit: () => {}, wants: () => false, entries: () => [] };

/** The newest `limit` entries below `before` (0 = of all), of a log that has `lastSequence` entries. */
export function newestFirst(limit: number, before: number, lastSequence: number): PageCollector {
  const page: AuditEntry[] = [];
  const end = before > 0 ? Math.min(before, lastSequence + 1) : lastSequence + 1;
  return {
    visit(entry) {
      if (before > 0 && entry.sequence >= before) return;
      page.push(entry);
      if (page.length > limit * 2) page.splice(0, page.length - limit);
    },
    wants: (first, last) => first < end && last >= end - limit,
    entries: () => page.slice(-limit).reverse(),
  };
}

export function oldestFirst(limit: number, after: number): PageCollector {
  const page: AuditEntry[] = [];
  return {
    visit(entry) {
      if (entry.sequence > after && page.length < limit) page.push(entry);
    },
    wants: (_first, last) => last > after && page.length < limit,
    entries: () => page,
  };
}
