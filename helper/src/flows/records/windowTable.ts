/** The records of one window while they are being counted. */
import type { Direction, Verdict } from "@wardline/domain/policy";
import type { FlowHook } from "../../enforce/enforcer.ts";
import type { GenerationContext } from "../../generations/contexts.ts";
import { DistinctCount } from "./distinctCount.ts";
import type { Added, CountedFlow, SeenProcess } from "./flowBaselines.ts";

/** Records of folded flows: what differs in them beyond this is folded once more, without the host's own end. */
const MAX_FOLDED = 256;

/** A record in the making. */
export class RecordDraft {
  readonly direction: Direction;
  readonly protocol: number;
  readonly verdict: Verdict;
  readonly enforced: Verdict;
  hook: FlowHook | null;
  sourceAddress: string;
  destinationAddress: string;
  destinationPort: number;
  generation: number;
  decision: number;
  set: number;
  cgroupPath: string;
  context: GenerationContext | undefined;
  process: SeenProcess | null = null;
  hasSeveralProcesses = false;
  firstSeenMs: number;
  lastSeenMs: number;
  started = 0;
  ended = 0;
  deniedPackets = 0;
  packets = 0;
  originatorBytes = 0;
  responderBytes = 0;
  /** `null` = it is one flow. */
  folded: DistinctCount | null = null;

  constructor(flow: CountedFlow, cgroupPath: string, context: GenerationContext | undefined, seenMs: number) {
    this.direction = flow.direction;
    this.protocol = flow.protocol;
    this.verdict = flow.verdict;
    this.enforced = flow.enforced;
    this.hook = flow.hook;
    this.sourceAddress = flow.sourceAddress;
    this.destinationAddress = flow.destinationAddress;
    this.destinationPort = flow.destinationPort;
    this.generation = flow.generation;
    this.decision = flow.decision;
    this.set = flow.set;
    this.cgroupPath = cgroupPath;
    this.context = context;
    this.firstSeenMs = seenMs;
    this.lastSeenMs = seenMs;
  }

  add({ packets, originatorBytes, responderBytes }: Added): void {
    this.packets += packets;
    this.originatorBytes += originatorBytes;
    this.responderBytes += responderBytes;
  }

  seen(atMs: number): void {
    if (atMs < this.firstSeenMs) this.firstSeenMs = atMs;
    if (atMs > this.lastSeenMs) this.lastSeenMs = atMs;
  }

  knowProcess(process: SeenProcess): void {
    if (this.process !== null && this.process.pid !== process.pid) this.hasSeveralProcesses = true;
    this.process = process;
  }
}

export class WindowTable {
  /** Start of the window in units of its length since 1970. */
  readonly index: number;
  readonly #maxKeys: number;
  readonly #drafts = new Map<string, RecordDraft>();
  readonly #folded = new Map<string, RecordDraft>();
  /** Starts, ends and denials that are in it. */
  events = 0;

  constructor(index: number, maxKeys: number) {
    this.index = index;
    this.#maxKeys = maxKeys;
  }

  get size(): number {
    return this.#drafts.size + this.#folded.size;
  }

  get foldedSize(): number {
    return this.#folded.size;
  }

  *drafts(): Generator<RecordDraft> {
    yield* this.#drafts.values();
    yield* this.#folded.values();
  }

  /** The record that a flow belongs to. */
  draftOf(
    flow: CountedFlow,
    cgroupPath: string,
    contextOf: (generation: number) => GenerationContext | undefined,
    seenMs: number,
  ): RecordDraft {
    const key = identityOf(flow);
    let draft = this.#drafts.get(key);
    if (draft === undefined) {
      if (this.#drafts.size >= this.#maxKeys) return this.#foldedDraft(key, flow, cgroupPath, contextOf, seenMs);
      draft = new RecordDraft(flow, cgroupPath, contextOf(flow.generation), seenMs);
      this.#drafts.set(key, draft);
    }
    draft.seen(seenMs);
    return draft;
  }

  #foldedDraft(
    identity: string,
    flow: CountedFlow,
    cgroupPath: string,
    contextOf: (generation: number) => GenerationContext | undefined,
    seenMs: number,
  ): RecordDraft {
    const isEgress = flow.direction === "egress";
    const wide = `${flow.protocol} ${flow.direction} ${flow.verdict} ${flow.enforced}`;
    const ownEnd = isEgress ? flow.sourceAddress : flow.destinationAddress;
    const narrow = `${wide} ${ownEnd}`;
    const key = this.#folded.has(narrow) || this.#folded.size < MAX_FOLDED ? narrow : wide;
    let draft = this.#folded.get(key);
    if (draft === undefined) {
      draft = new RecordDraft(flow, cgroupPath, contextOf(flow.generation), seenMs);
      draft.folded = new DistinctCount();
      this.#folded.set(key, draft);
    } else clearDifferences(draft, flow, cgroupPath);
    draft.folded?.add(identity);
    draft.seen(seenMs);
    return draft;
  }
}

/** Leaves in the record only what all of its flows have in common. */
function clearDifferences(draft: RecordDraft, flow: CountedFlow, cgroupPath: string): void {
  if (draft.sourceAddress !== flow.sourceAddress) draft.sourceAddress = "";
  if (draft.destinationAddress !== flow.destinationAddress) draft.destinationAddress = "";
  if (draft.destinationPort !== flow.destinationPort) draft.destinationPort = 0;
  if (draft.hook !== flow.hook) draft.hook = null;
  if (draft.cgroupPath !== cgroupPath) draft.cgroupPath = "";
  if (draft.generation !== flow.generation) draft.generation = 0;
  if (draft.set !== flow.set) draft.set = -1;
  if (draft.decision !== flow.decision) draft.decision = -1;
}

/** One text for everything that two flows of one record have in common. */
function identityOf(flow: CountedFlow): string {
  const { direction, verdict, enforced, hook, protocol } = flow;
  const bits =
    (direction === "egress" ? 1 : 0) + (verdict === "deny" ? 2 : 0) + (enforced === "deny" ? 4 : 0) + HOOK_BITS[hook];
  return `${flow.sourceAddress} ${flow.destinationAddress} ${flow.destinationPort} ${protocol * 32 + bits} ${flow.decision} ${flow.generation} ${flow.set} ${Number(flow.cgroupId)}`;
}

const HOOK_BITS: Record<FlowHook, number> = { socket: 0, connect: 8, edge: 16 };
