/** Something that needs a person now, or that a person should know of. What is no longer among the matters is over. */
export type MatterSource =
  | "pending"
  | "rollout"
  | "host"
  | "anomaly"
  | "alert"
  | "mesh"
  | "settings"
  | "audit"
  | "question";

/** 1 to know, 2 needs a person, 3 needs a person now. */
export type Urgency = 1 | 2 | 3;

export interface Matter {
  /** The same matter has the same key for as long as it lasts. */
  readonly key: string;
  readonly source: MatterSource;
  readonly urgency: Urgency;
  readonly title: string;
  readonly body: string;
  readonly hostId: string;
  readonly hostName: string;
  /** A place in the window, as behind `#/`. */
  readonly place: string;
  readonly deadlineMs: number | null;
}
