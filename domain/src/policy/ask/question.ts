/** What can be asked, without how it was worded. */
import type { AccessEnd } from "../access/index.ts";
import type { Direction, PortMatch, TestEnd } from "../model.ts";

/** Whom a question is about, under the name that means nobody else: `app=web`, `host/db-1`, `10.0.0.7`, `world`. */
export interface AskSubject {
  /** Reads back as the same subject. */
  readonly text: string;
  /** One but for services, which stand for several. */
  readonly ends: readonly AccessEnd[];
  /** The same for a PolicyTest; `null` where those cannot say it (an endpoint by its name). */
  readonly testEnds: readonly TestEnd[] | null;
  /** Of a named service: `Service/namespace/name`. */
  readonly serviceKey: string | null;
}

/** Ports that a question is about. */
export interface AskPorts {
  /** Reads back as the same ports: `5432/tcp, 53/udp`. */
  readonly text: string;
  /** Not empty. Names are looked up at the destination, each for itself. */
  readonly matches: readonly PortMatch[];
}

export type ChangeSide = "opened" | "closed" | "both";

/** What a change is between: the two newest versions of what is enforced, a version and the one before, or draft and enforced. */
export type ChangeSpan =
  | { readonly kind: "last-change" }
  | { readonly kind: "version"; readonly number: number }
  | { readonly kind: "draft" };

export type Question =
  | { readonly kind: "can-reach"; readonly from: AskSubject; readonly to: AskSubject; readonly ports: AskPorts | null }
  | { readonly kind: "who-can-reach"; readonly to: AskSubject; readonly ports: AskPorts | null }
  | { readonly kind: "what-can-reach"; readonly from: AskSubject; readonly ports: AskPorts | null }
  | {
      readonly kind: "why";
      /** What is asked about: what lets it through, or what stops it. */
      readonly verdict: "allow" | "deny";
      readonly from: AskSubject;
      readonly to: AskSubject;
      readonly ports: AskPorts | null;
    }
  /** Of a recorded flow, by its number on this console. */
  | { readonly kind: "why-flow"; readonly flowId: bigint }
  | {
      readonly kind: "changed";
      readonly side: ChangeSide;
      readonly span: ChangeSpan;
      /** `null` = for everybody. */
      readonly about: AskSubject | null;
    }
  /** `direction` `null` = neither one. */
  | { readonly kind: "no-policy"; readonly direction: Direction | null }
  | { readonly kind: "selected-by"; readonly subject: AskSubject }
  | { readonly kind: "never-hit" }
  | { readonly kind: "uses-port"; readonly ports: AskPorts };

export type QuestionKind = Question["kind"];
