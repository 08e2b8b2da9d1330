/**
 * The course of a roll-out: what may happen next, and what follows from what has happened. Pure, so that every order of
 * events can be tried; whoever drives it keeps the result on disk before it acts.
 */

export type HostPhase =
  | "waiting"
  /** Being sent: whether the host took it is not known. */
  | "applying"
  /** Flipped; returns by itself unless it is confirmed. */
  | "pending"
  | "confirmed"
  | "rolled-back"
  | "failed"
  /** Could not be reached when it began; gets the state when it returns. */
  | "away"
  | "unchanged"
  | "not-started";

export type RolloutPhase =
  | "running"
  /** Between two stages. */
  | "waiting"
  | "done"
  | "halted"
  | "stopped";

export interface HostProgress {
  readonly id: string;
  /** From 0. */
  readonly stage: number;
  readonly phase: HostPhase;
  /** Not reachable since it flipped: nothing can be sent, the host ends it by itself. */
  readonly isLost: boolean;
  /** In no stage: nothing of it brings the roll-out on or ends it. */
  readonly isAside: boolean;
}

export interface RolloutProgress {
  readonly phase: RolloutPhase;
  /** The stage that runs or waits. */
  readonly stage: number;
  readonly stageCount: number;
  /** Goes on by itself after a stage. */
  readonly isAutomatic: boolean;
  /** Every host of the stage has shown what it had to: they may be confirmed. */
  readonly gatesPassed: boolean;
  /** Stopped together with what was confirmed before. */
  readonly leavesConfirmed: boolean;
  readonly hosts: readonly HostProgress[];
}

export type RolloutEvent =
  | { readonly kind: "sending"; readonly hostId: string }
  /** After a restart: the host never got it. */
  | { readonly kind: "not-sent"; readonly hostId: string }
  | { readonly kind: "flipped"; readonly hostId: string }
  | { readonly kind: "failed"; readonly hostId: string }
  | { readonly kind: "lost"; readonly hostId: string }
  | { readonly kind: "confirmed"; readonly hostId: string }
  | { readonly kind: "rolled-back"; readonly hostId: string }
  /** A host that returned enforces it already, or is not to have it any more. */
  | { readonly kind: "found-unchanged" | "dropped"; readonly hostId: string }
  /** A confirmed host that could not be returned: it stays as it is. */
  | { readonly kind: "not-left"; readonly hostId: string }
  | { readonly kind: "gates-passed"; readonly stage: number }
  | { readonly kind: "gate-closed"; readonly stage: number }
  | { readonly kind: "continued"; readonly stage: number }
  | { readonly kind: "stopped"; readonly confirmedToo: boolean };

/** What is to be done now. Hosts that are already being worked on may be among them. */
export type RolloutStep =
  | { readonly kind: "send"; readonly hostIds: readonly string[] }
  /** All of the stage have flipped: look at them, then let `gates-passed` or `gate-closed` happen. */
  | { readonly kind: "watch"; readonly stage: number; readonly hostIds: readonly string[] }
  | { readonly kind: "confirm"; readonly hostIds: readonly string[] }
  | { readonly kind: "roll-back"; readonly hostIds: readonly string[] }
  /** Only time or the hosts themselves bring it on. */
  | { readonly kind: "await"; readonly hostIds: readonly string[] }
  | { readonly kind: "nothing" };

/** What a host may become after what; anything else is a defect of the driver. */
const TRANSITIONS: Readonly<Record<string, readonly HostPhase[]>> = {
  sending: ["waiting", "away"],
  "not-sent": ["applying"],
  flipped: ["applying"],
  failed: ["away", "waiting", "applying", "pending"],
  lost: ["pending"],
  confirmed: ["applying", "pending"],
  "rolled-back": ["applying", "pending", "confirmed"],
  "not-left": ["confirmed"],
  "found-unchanged": ["away"],
  dropped: ["away"],
};

const BECOMES: Readonly<Record<string, HostPhase>> = {
  sending: "applying",
  flipped: "pending",
  failed: "failed",
  lost: "pending",
  confirmed: "confirmed",
  "rolled-back": "rolled-back",
  "not-left": "confirmed",
  "found-unchanged": "unchanged",
  dropped: "not-started",
};

const IS_BAD: ReadonlySet<HostPhase> = new Set(["failed", "rolled-back"]);

export interface NewRollout {
  readonly stages: readonly (readonly string[])[];
  readonly isAutomatic: boolean;
  /** Neither in a stage nor changed now. */
  readonly aside: readonly { readonly id: string; readonly phase: "away" | "unchanged" | "failed" }[];
}

export function beginRollout({ stages, isAutomatic, aside }: NewRollout): RolloutProgress {
  const staged = stages.flatMap((ids, stage) =>
    ids.map((id): HostProgress => ({ id, stage, phase: "waiting", isLost: false, isAside: false })),
  );
  const others = aside.map(({ id, phase }): HostProgress => ({ id, stage: 0, phase, isLost: false, isAside: true }));
  return {
    phase: stages.length === 0 ? "done" : "running",
    stage: 0,
    stageCount: stages.length,
    isAutomatic,
    gatesPassed: false,
    leavesConfirmed: false,
    hosts: [...staged, ...others],
  };
}

/** Throws an Error (a defect) when the event cannot happen now. */
export function reduceRollout(progress: RolloutProgress, event: RolloutEvent): RolloutProgress {
  switch (event.kind) {
    case "gates-passed":
      requireStage(progress, event, "running");
      if (hostsOfStage(progress).some((host) => !isReady(host))) {
        throw impossible(progress, event);
      }
      return { ...progress, gatesPassed: true };
    case "gate-closed":
      requireStage(progress, event, "running");
      return halt(progress, "halted");
    case "continued":
      requireStage(progress, event, "waiting");
      return { ...progress, phase: "running" };
    case "stopped":
      return stop(progress, event.confirmedToo);
    default:
      return settle(moveHost(progress, event));
  }
}

export function nextStep(progress: RolloutProgress): RolloutStep {
  const { phase, stage } = progress;
  if (phase === "waiting" || phase === "done") return { kind: "nothing" };
  if (phase !== "running") return cleanUp(progress);
  const here = hostsOfStage(progress);
  const waiting = idsIn(here, "waiting");
  if (waiting.length > 0) return { kind: "send", hostIds: waiting };
  const applying = idsIn(here, "applying");
  if (applying.length > 0) return { kind: "await", hostIds: applying };
  const pending = idsIn(here, "pending");
  return progress.gatesPassed ? { kind: "confirm", hostIds: pending } : { kind: "watch", stage, hostIds: pending };
}

/** Nothing is under way and nothing will be, but for hosts that are away. */
export function hasEnded(progress: RolloutProgress): boolean {
  if (progress.phase === "running" || progress.phase === "waiting") return false;
  return nextStep(progress).kind === "nothing";
}

function cleanUp({ hosts, leavesConfirmed }: RolloutProgress): RolloutStep {
  const reachable = hosts.filter(({ isLost }) => !isLost);
  const leaving = [...idsIn(reachable, "pending"), ...(leavesConfirmed ? idsIn(reachable, "confirmed") : [])];
  if (leaving.length > 0) return { kind: "roll-back", hostIds: leaving };
  const open = [...idsIn(hosts, "applying"), ...idsIn(hosts, "pending")];
  return open.length > 0 ? { kind: "await", hostIds: open } : { kind: "nothing" };
}

function moveHost(progress: RolloutProgress, event: Extract<RolloutEvent, { hostId: string }>): RolloutProgress {
  const host = progress.hosts.find(({ id }) => id === event.hostId);
  if (!host || !TRANSITIONS[event.kind]?.includes(host.phase)) throw impossible(progress, event);
  if (event.kind === "sending" && !mayBegin(progress, host)) throw impossible(progress, event);
  // `isLost` of a confirmed host means that it could not be returned: nobody tries for ever.
  const isLost = event.kind === "lost" || event.kind === "not-left";
  const again: HostPhase = host.isAside ? "away" : "waiting";
  const phase = event.kind === "not-sent" ? again : (BECOMES[event.kind] ?? host.phase);
  const moved: HostProgress = { ...host, phase, isLost };
  return { ...progress, hosts: progress.hosts.map((other) => (other === host ? moved : other)) };
}

/** In its stage; or, when it was away, once the others have it. */
function mayBegin({ phase, stage }: RolloutProgress, host: HostProgress): boolean {
  return host.phase === "away" ? phase === "done" : !host.isAside && phase === "running" && host.stage === stage;
}

function settle(progress: RolloutProgress): RolloutProgress {
  if (progress.phase === "stopped" || progress.phase === "halted") return halt(progress, progress.phase);
  if (progress.phase !== "running") return progress;
  const here = hostsOfStage(progress);
  if (here.some(({ phase, isLost }) => IS_BAD.has(phase) || isLost)) return halt(progress, "halted");
  if (!here.every(({ phase }) => phase === "confirmed")) return progress;
  const isLast = progress.stage + 1 >= progress.stageCount;
  if (isLast) return { ...progress, phase: "done" };
  const phase = progress.isAutomatic ? "running" : "waiting";
  return { ...progress, phase, stage: progress.stage + 1, gatesPassed: false };
}

/** One that is done stays done when nothing has to be returned: only what was away is not waited for any more. */
function stop(progress: RolloutProgress, confirmedToo: boolean): RolloutProgress {
  const isOpen = progress.hosts.some(({ phase }) => phase === "applying" || phase === "pending");
  const stopped = halt({ ...progress, leavesConfirmed: confirmedToo || progress.leavesConfirmed }, "stopped");
  return progress.phase === "done" && !confirmedToo && !isOpen ? { ...stopped, phase: "done" } : stopped;
}

/** No host is begun any more, now or when it returns. */
function halt(progress: RolloutProgress, phase: "halted" | "stopped"): RolloutProgress {
  const hosts = progress.hosts.map(
    (host): HostProgress =>
      host.phase === "waiting" || host.phase === "away" ? { ...host, phase: "not-started" } : host,
  );
  return { ...progress, phase, gatesPassed: false, hosts };
}

function isReady({ phase, isLost }: HostProgress): boolean {
  return phase === "confirmed" || (phase === "pending" && !isLost);
}

function hostsOfStage({ hosts, stage }: RolloutProgress): readonly HostProgress[] {
  return hosts.filter((host) => !host.isAside && host.stage === stage);
}

function idsIn(hosts: readonly HostProgress[], phase: HostPhase): string[] {
  return hosts.filter((host) => host.phase === phase).map(({ id }) => id);
}

function requireStage(progress: RolloutProgress, event: RolloutEvent & { stage: number }, phase: RolloutPhase): void {
  if (progress.phase !== phase || progress.stage !== event.stage) throw impossible(progress, event);
}

function impossible(progress: RolloutProgress, event: RolloutEvent): Error {
  return new Error(`${event.kind} cannot happen to a roll-out that is ${progress.phase} in stage ${progress.stage}`);
}
