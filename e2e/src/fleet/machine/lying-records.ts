/** Flow records that cannot be true, and some that can but are meant to harm whoever shows them. */
import { create, toBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  GetJournalResponseSchema,
  JournalStateSchema,
  ReadRecordsResponseSchema,
} from "@wardline/api/wardline/agent/v1/records";
import { FlowProcessSchema } from "@wardline/api/wardline/v1/flow";
import { type FlowRecord, FlowRecordBatchSchema, FlowRecordSchema } from "@wardline/api/wardline/v1/flow_record";
import { DecisionSchema, Direction, Verdict } from "@wardline/api/wardline/v1/policy";
import { HOSTILE_TEXT } from "../hostile-text.ts";

/** Port of those that can be true, with {@link HOSTILE_TEXT} for every name. */
export const HARMFUL_PORT = 4444;
/** Port of the flood. */
export const FLOOD_PORT = 5555;
export const FLOOD_BATCHES = 12;
export const FLOOD_BATCH_RECORDS = 2_000;
const YEAR_2100_MS = Date.UTC(2100, 0, 1);

type Lie = Partial<Omit<FlowRecord, "$typeName" | "$unknown">>;

/** Seen by nobody: an ordinary record of now. */
function ordinary(port: number): Lie {
  const nowMs = Date.now();
  const windowMs = nowMs - (nowMs % 10_000) - 10_000;
  return {
    windowStart: timestampFromMs(windowMs),
    windowSeconds: 10,
    firstSeen: timestampFromMs(windowMs + 1_000),
    lastSeen: timestampFromMs(windowMs + 2_000),
    direction: Direction.EGRESS,
    protocol: 6,
    sourceAddress: "10.0.0.1",
    destinationAddress: "10.0.0.2",
    destinationPort: port,
    verdict: Verdict.ALLOW,
    enforced: Verdict.ALLOW,
    started: 1n,
  };
}

const FUTURE = timestampFromMs(YEAR_2100_MS);
/** What is wrong with each: the reader refuses them all. */
const IMPOSSIBLE: readonly Lie[] = [
  { windowStart: FUTURE, firstSeen: FUTURE, lastSeen: FUTURE },
  { lastSeen: FUTURE },
  { started: 1n << 63n },
  { deniedPackets: (1n << 64n) - 1n },
  { responderBytes: 1n << 63n },
  { windowSeconds: 0 },
  { windowSeconds: 4_000_000_000 },
  { direction: Direction.UNSPECIFIED },
  { verdict: 77 as Verdict },
  { sourceAddress: "<script>" },
  { destinationAddress: "" },
  { destinationPort: 70_000 },
];
export const IMPOSSIBLE_COUNT = IMPOSSIBLE.length;

/** @param name of another host, as if it spoke of that one */
function harmful(name: string): Lie {
  return {
    ...ordinary(HARMFUL_PORT),
    sourceName: name,
    destinationName: HOSTILE_TEXT,
    observedName: HOSTILE_TEXT,
    subjectKey: `Host//${name}`,
    cgroupPath: HOSTILE_TEXT,
    process: create(FlowProcessSchema, {
      pid: 1,
      command: HOSTILE_TEXT,
      executable: HOSTILE_TEXT,
      userName: HOSTILE_TEXT,
    }),
    decision: create(DecisionSchema, {
      id: HOSTILE_TEXT,
      rule: HOSTILE_TEXT,
      summary: HOSTILE_TEXT,
      policyKeys: [HOSTILE_TEXT],
    }),
  };
}

const journal = () =>
  create(JournalStateSchema, {
    journalId: "of-a-liar",
    firstSequence: 1n,
    lastSequence: BigInt(FLOOD_BATCHES + 1),
    problem: HOSTILE_TEXT,
  });

const batch = (sequence: number, records: readonly Lie[]) =>
  create(FlowRecordBatchSchema, {
    sequence: BigInt(sequence),
    sealedAt: timestampFromMs(Date.now()),
    records: records.map((record) => create(FlowRecordSchema, record)),
  });

export const lyingJournal = (): Uint8Array =>
  toBinary(GetJournalResponseSchema, create(GetJournalResponseSchema, { journal: journal() }));

/** Messages of ReadRecords, the lies first, then the flood. */
export function* lyingRecords(nameOfAnother: string): Generator<Uint8Array> {
  const lies = IMPOSSIBLE.map((lie) => ({ ...ordinary(HARMFUL_PORT), ...lie }));
  yield message(batch(1, [...lies, harmful(nameOfAnother)]));
  for (let index = 0; index < FLOOD_BATCHES; index++) {
    const flood = Array.from({ length: FLOOD_BATCH_RECORDS }, (_, at) => {
      const number = index * FLOOD_BATCH_RECORDS + at;
      return { ...ordinary(FLOOD_PORT), destinationAddress: `10.1.${number >> 8}.${number & 255}` };
    });
    yield message(batch(index + 2, flood));
  }
}

function message(records: ReturnType<typeof batch>): Uint8Array {
  const answer = create(ReadRecordsResponseSchema, { journal: journal(), batches: [records] });
  return toBinary(ReadRecordsResponseSchema, answer);
}
