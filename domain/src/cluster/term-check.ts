/**
 * Whether what many leaders did is what one leader at a time could have done. Judges a recorded history: what each node
 * believed, what clients were told, and what the store has in the end.
 */

/** A node that took the lead. */
export interface RecordedLead {
  readonly term: bigint;
  readonly leader: string;
}

/** A write that carried a fence. */
export interface RecordedWrite {
  readonly id: string;
  readonly term: bigint;
  readonly writer: string;
  /** When it was sent and when its answer came, on one clock for all. */
  readonly fromMs: number;
  readonly untilMs: number;
  /** `unknown` = no answer, or one that leaves it open. */
  readonly outcome: "written" | "refused" | "unknown";
}

/** A write that the store has, with its place in the one order of revisions. */
export interface StoredWrite {
  readonly id: string;
  readonly term: bigint;
  readonly revision: bigint;
}

export interface TermHistory {
  readonly leads: readonly RecordedLead[];
  readonly writes: readonly RecordedWrite[];
  readonly stored: readonly StoredWrite[];
}

/** Sentences; empty = the history is one that a single leader at a time explains. */
export function checkTermHistory(history: TermHistory): string[] {
  return [
    ...termsWithTwoLeaders(history),
    ...answersThatAreUntrue(history),
    ...disorder(history),
    ...pastOvertakes(history),
  ];
}

function termsWithTwoLeaders({ leads }: TermHistory): string[] {
  const leaders = new Map<bigint, string>();
  const found: string[] = [];
  for (const { term, leader } of leads) {
    const other = leaders.get(term) ?? leader;
    if (other !== leader) found.push(`Term ${term} was led by ${other} and by ${leader}.`);
    leaders.set(term, other);
  }
  return found;
}

function answersThatAreUntrue({ writes, stored }: TermHistory): string[] {
  const kept = new Map(stored.map((write) => [write.id, write]));
  const sent = new Map(writes.map((write) => [write.id, write]));
  const lies = writes.flatMap(({ id, outcome, term }) => {
    if (outcome === "written" && !kept.has(id)) return [`Write ${id} was confirmed and is lost.`];
    if (outcome === "refused" && kept.has(id)) return [`Write ${id} was refused and is there.`];
    const storedTerm = kept.get(id)?.term ?? term;
    return storedTerm === term ? [] : [`Write ${id} of term ${term} was stored as one of term ${storedTerm}.`];
  });
  const invented = stored.filter(({ id }) => !sent.has(id)).map(({ id }) => `Nobody sent the write ${id}.`);
  return [...lies, ...invented];
}

/** In the order of the store no write of an older term comes after one of a newer term. */
function disorder({ stored }: TermHistory): string[] {
  const ordered = [...stored].sort((a, b) => (a.revision < b.revision ? -1 : 1));
  return ordered.flatMap((write, index) => {
    const before = ordered[index - 1];
    if (!before || before.term <= write.term) return [];
    return [`Write ${write.id} of term ${write.term} came after write ${before.id} of term ${before.term}.`];
  });
}

/** What had ended before something else began has the lower revision. */
function pastOvertakes({ writes, stored }: TermHistory): string[] {
  const revisions = new Map(stored.map(({ id, revision }) => [id, revision]));
  const written = writes.flatMap(({ id, fromMs, untilMs, outcome }) => {
    const revision = revisions.get(id);
    // Without an answer nobody knows when it ended.
    return revision === undefined
      ? []
      : [{ id, fromMs, untilMs: outcome === "written" ? untilMs : Infinity, revision }];
  });
  const byStart = [...written].sort((a, b) => a.fromMs - b.fromMs);
  const byEnd = [...written].sort((a, b) => a.untilMs - b.untilMs);
  const found: string[] = [];
  let newest: { readonly id: string; readonly revision: bigint } | null = null;
  let ended = 0;
  for (const write of byStart) {
    for (let next = byEnd[ended]; next && next.untilMs < write.fromMs; next = byEnd[++ended]) {
      if (!newest || next.revision > newest.revision) newest = next;
    }
    if (newest && newest.revision > write.revision) {
      found.push(`Write ${write.id} began after write ${newest.id} had ended and has the lower revision.`);
    }
  }
  return found;
}
