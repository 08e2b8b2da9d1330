/** A process of its own that stores one batch after the other until it is killed. Arguments: directory, batches in all. */
import { silentLogger, systemClock } from "../../../ports.ts";
import { USUAL_RETENTION_LIMITS } from "../../flow-history.ts";
import { batchOf } from "../../testing/batches.ts";
import { randomBatches, seededRandom } from "../../testing/random-records.ts";
import { SqliteHistory } from "../sqlite-history.ts";

const [directory = "", total = "0", startMs = "0"] = process.argv.slice(2);
const history = new SqliteHistory({
  directory,
  retention: () => ({ ...USUAL_RETENTION_LIMITS, recordDays: 1e5, minuteDays: 1e5 }),
  clock: systemClock,
  logger: silentLogger,
  leafLimits: { rows: 300 },
});
const [position] = await history.positions("h1");
console.log("ready");
// As a collector: on from where it was. What a batch holds depends on its number only.
for (let sequence = Number(position?.sequence ?? 0n) + 1; sequence <= Number(total); sequence++) {
  const options = { firstSequence: sequence, batches: 1, records: 20, startMs: Number(startMs) + sequence * 10_000 };
  await history.ingest([batchOf("h1", randomBatches(seededRandom(sequence), options))]);
}
await history.maintain();
await history.close();
