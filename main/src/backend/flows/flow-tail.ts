/** Stored flows as they come, for one reader: in order, in pieces, and never so many that only the newest could be seen. */
import type { FlowFilter } from "@wardline/api/wardline/console/v1/flows";
import type { Flow } from "@wardline/api/wardline/v1/flow";
import type { CountedSecond, FlowsTable } from "../store/flows-table.ts";

const PIECE = 1_000;
/** Windows hold the newest 10,000 rows: of a reader that is further behind than this, all older ones would only go through. */
const MAX_BEHIND = 10_000;
/** Of a question few are answers: it looks back further before it lets any go by. */
const MAX_BEHIND_OF_QUESTION = 50_000;

export interface TailPiece {
  /** Oldest first. */
  readonly flows: readonly Flow[];
  /** Flows that were left out because there were too many, and when they were. */
  readonly passed: number;
  readonly passedSeconds: readonly CountedSecond[];
  /** Whether there is more already. */
  readonly isMore: boolean;
}

const NOTHING: TailPiece = { flows: [], passed: 0, passedSeconds: [], isMore: false };

export class FlowTail {
  readonly #flows: Pick<FlowsTable, "between" | "secondsBetween" | "newestBut">;
  readonly #filter: FlowFilter | undefined;
  readonly #maxBehind: number;
  #lastId: number;

  /** @param lastId the flow that the reader knows as the newest */
  constructor(
    flows: Pick<FlowsTable, "between" | "secondsBetween" | "newestBut">,
    filter: FlowFilter | undefined,
    hasQuestion: boolean,
    lastId: number,
  ) {
    this.#flows = flows;
    this.#filter = filter;
    this.#maxBehind = hasQuestion ? MAX_BEHIND_OF_QUESTION : MAX_BEHIND;
    this.#lastId = lastId;
  }

  /** What came since the last piece. @throws Failure INVALID_ARGUMENT as the filter */
  next(newestId: number): TailPiece {
    if (newestId <= this.#lastId) return NOTHING;
    const skippedTo = this.#flows.newestBut(this.#maxBehind, this.#filter, this.#lastId, newestId);
    const passedSeconds = skippedTo === null ? [] : this.#flows.secondsBetween(this.#filter, this.#lastId, skippedTo);
    this.#lastId = skippedTo ?? this.#lastId;
    const flows = this.#flows.between(this.#filter, this.#lastId, newestId, PIECE);
    const isMore = flows.length === PIECE;
    this.#lastId = isMore ? Number(flows.at(-1)?.id ?? newestId) : newestId;
    return { flows, passed: passedSeconds.reduce((sum, { count }) => sum + count, 0), passedSeconds, isMore };
  }
}
