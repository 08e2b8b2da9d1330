/** The thread that compares every connection of a fleet, and explains one: neither keeps anybody else waiting. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { ListVerdictsRequestSchema, VerdictRowsSchema } from "@wardline/api/wardline/console/v1/verdicts";
import { EvaluationSchema } from "@wardline/api/wardline/v1/policy";
import {
  canonicalAddress,
  effectiveAddresses,
  evaluate,
  type FlowEnd,
  type PolicyWorld,
} from "@wardline/domain/policy";
import { describeReported, type VerdictRow, VerdictTable } from "@wardline/domain/policy/verdicts";
import { toWireEvaluation } from "@wardline/domain/wire";
import { type Checkpoint, serveCalls, Transferred } from "../../async/thread-calls.ts";
import { FirstRows } from "./first-rows.ts";
import { rowFilter } from "./row-filter.ts";
import { rowOrder } from "./row-order.ts";
import { ThreadStates } from "./thread-states.ts";
import type {
  AddRequest,
  ExplainAnswer,
  ExplainRequest,
  Fates,
  LoadRequest,
  OpenRequest,
  PageAnswer,
  PageRequest,
  ReportedFact,
  RowsAnswer,
  RowsRequest,
} from "./verdict-protocol.ts";
import { SHOWN_PARTS, toWireRow } from "./verdict-wire.ts";

const states = new ThreadStates();
let table: VerdictTable | null = null;
let shown: readonly VerdictRow[] = [];

function open({ worlds, draftVersion, hosts, lookedAt, ...frame }: OpenRequest): void {
  const byName = new Map(hosts.map((host) => [host.hostName, host]));
  const of = (hostName: string | null) => (hostName === null ? undefined : byName.get(hostName));
  const chosen = lookedAt && new Set(lookedAt);
  const [draft, ...others] = worlds.map((reference) => states.world(reference, frame));
  if (!draft) throw new Error("the draft is always there");
  shown = [];
  table = new VerdictTable({
    worlds: [draft, ...others],
    draftVersion,
    enforcedOf: (name) => of(name)?.enforced ?? null,
    stagedOf: (name) => of(name)?.staged ?? null,
    isLookedAt: (name) => chosen === null || (name !== null && chosen.has(name)),
  });
}

function opened(): VerdictTable {
  if (!table) throw new Error("a table is opened before it is used");
  return table;
}

function add({ records }: AddRequest, checkpoint: Checkpoint): Fates {
  const fates: Record<string, number> = {};
  for (const [index, record] of records.entries()) {
    if (index % 1_000 === 0) checkpoint();
    const fate = opened().add(record);
    fates[fate] = (fates[fate] ?? 0) + 1;
  }
  return fates;
}

function rows({ request: bytes, maxRows }: RowsRequest, checkpoint: Checkpoint): RowsAnswer {
  const request = fromBinary(ListVerdictsRequestSchema, bytes);
  const isWanted = rowFilter(request);
  const first = new FirstRows(rowOrder(request), maxRows);
  let matching = 0;
  let disagreeing = 0;
  for (const row of opened().rows({ includeAgreeing: request.includeAgreeing })) {
    if (row === null) {
      checkpoint();
      continue;
    }
    if (row.disagrees) disagreeing += 1;
    if (!isWanted(row)) continue;
    matching += 1;
    first.add(row);
  }
  shown = first.sorted();
  return { shown: shown.length, matching, disagreeing, comparedPairs: opened().comparedPairs };
}

function page({ start, count }: PageRequest): Transferred {
  const own = shown.slice(start, start + count);
  const reported = own.flatMap((row, index) =>
    describeReported(row)
      .parts.slice(0, SHOWN_PARTS)
      .map(
        ({ hostId, generation, decision }, part): ReportedFact => ({ row: index, part, hostId, generation, decision }),
      ),
  );
  const bytes = toBinary(VerdictRowsSchema, create(VerdictRowsSchema, { rows: own.map(toWireRow) }));
  return new Transferred({ rows: bytes, reported } satisfies PageAnswer, [bytes.buffer as ArrayBuffer]);
}

/** The rows may go: nobody asks for them any more. */
function close(): void {
  table = null;
  shown = [];
}

function explain({ world: reference, index, protocol, port, ...request }: ExplainRequest): ExplainAnswer {
  const world = states.world(reference, request);
  const from = endIn(world, request.fromKey, request.fromAddress);
  const to = endIn(world, request.toKey, request.toAddress);
  const direction = evaluate(world, { from, to, protocol, port }).directions[index];
  const whole = toWireEvaluation({ verdict: direction.verdict, directions: [direction, direction] });
  whole.directions = whole.directions.slice(0, 1);
  return { evaluation: toBinary(EvaluationSchema, whole), isAllowed: direction.verdict === "allow" };
}

/** As the table sees it: the endpoint where this state knows it at the address, else whoever is there, else nobody. */
function endIn({ inventory }: PolicyWorld, key: string, address: string): FlowEnd {
  const here = inventory.endpoints.filter((endpoint) =>
    effectiveAddresses(inventory, endpoint).some((own) => canonicalAddress(own) === address),
  );
  const hosts = here.filter(({ kind }) => kind === "host");
  const rest = [...(hosts.length > 0 ? hosts : here)].sort((left, right) => (left.key < right.key ? -1 : 1));
  const owner = here.find((endpoint) => endpoint.key === key) ?? (key === "" ? undefined : rest[0]);
  return { endpointKey: owner?.key ?? null, address };
}

serveCalls({ load: (request: LoadRequest) => states.load(request), open, add, rows, page, close, explain });
