/** What the states of a cluster are called, and with which mark. */
import {
  type DesiredHead,
  type Member,
  MemberState,
  SetState,
  type SyncReport,
  SyncState,
  TermEnd,
} from "@wardline/api/wardline/v1/cluster";
import type { NoticeTone, VerdictShape } from "../../../ui/index.ts";

export interface StateWords {
  readonly shape: VerdictShape;
  readonly words: string;
}

export const MEMBER_STATES: Record<MemberState, StateWords> = {
  [MemberState.UNSPECIFIED]: { shape: "unknown", words: "unknown" },
  [MemberState.JOINING]: { shape: "unknown", words: "joining" },
  [MemberState.HEALTHY]: { shape: "allow", words: "healthy" },
  [MemberState.UNHEALTHY]: { shape: "observed", words: "unhealthy" },
  [MemberState.STOPPED]: { shape: "unknown", words: "stopped" },
  [MemberState.GONE]: { shape: "deny", words: "gone" },
};

export const SET_STATES: Record<SetState, { readonly tone: NoticeTone; readonly words: string }> = {
  [SetState.UNSPECIFIED]: { tone: "unknown", words: "unknown" },
  [SetState.PENDING]: { tone: "observed", words: "waits for confirmation" },
  [SetState.CONFIRMED]: { tone: "allow", words: "confirmed" },
  [SetState.ROLLED_BACK]: { tone: "deny", words: "rolled back" },
};

export const TERM_ENDS: Record<TermEnd, string> = {
  [TermEnd.UNSPECIFIED]: "not known",
  [TermEnd.RESIGNED]: "stepped down",
  [TermEnd.LEASE_LOST]: "its lease ran out",
  [TermEnd.REMOVED]: "was removed",
};

export function memberRole({ isLeader, record }: Member): string {
  if (isLeader) return "leader";
  return record?.candidate ? "candidate" : "member";
}

/** What a host made of the desired set, against the set that it shall enforce. */
export function syncWords(report: SyncReport | undefined, head: DesiredHead | undefined): StateWords {
  const wanted = wantedSet(head);
  if (wanted === 0n) return { shape: "unknown", words: "no set yet" };
  if (!report) return { shape: "unknown", words: "has not reported" };
  const active = report.activeSetNumber;
  switch (report.state) {
    case SyncState.ACTIVE:
      return active === wanted
        ? { shape: "allow", words: `set ${active}` }
        : { shape: "observed", words: `set ${active} of ${wanted}` };
    case SyncState.PENDING:
      return { shape: "observed", words: `set ${active}, waits` };
    case SyncState.APPLYING:
      return { shape: "observed", words: `applying set ${report.seenSetNumber}` };
    case SyncState.REFUSED:
      return { shape: "deny", words: `refused set ${report.seenSetNumber}` };
    case SyncState.ROLLED_BACK:
      return { shape: "deny", words: `rolled back to ${active === 0n ? "its own" : `set ${active}`}` };
    case SyncState.CUT_OFF:
      return { shape: "unknown", words: `cut off at set ${active}` };
    default:
      return { shape: "unknown", words: "follows no set" };
  }
}

/** Number of the set that hosts shall enforce now: a set that waits counts, one that was rolled back does not. */
export function wantedSet(head: DesiredHead | undefined): bigint {
  if (!head) return 0n;
  return head.state === SetState.ROLLED_BACK ? head.confirmedSetNumber : head.setNumber;
}

export function isBehind(report: SyncReport | undefined, head: DesiredHead | undefined): boolean {
  const wanted = wantedSet(head);
  return wanted > 0n && (report?.activeSetNumber ?? 0n) !== wanted;
}
