/**
 * Writes to an embedded store until it is killed, and says after each answer what was written; with `idle` after the path it
 * only keeps the store open. `node FILE PATH [idle]`
 */
import { pino } from "pino";
import { EmbeddedStore } from "../cluster/store/embeddedStore.ts";
import { put, textOf } from "./storeTesting.ts";

const store = EmbeddedStore.open({ path: process.argv[2] ?? "", log: pino({ level: "silent" }) });
let number = Number(textOf((await store.get("/a")).item) ?? "0");
process.stdout.write(`${number}\n`);
if (process.argv[3] === "idle") await new Promise(() => setInterval(() => {}, 60_000));
for (;;) {
  number += 1;
  const then = [put("/a", `${number}`), put("/b", `${number}`), put(`/many/${number}`, "x".repeat(number % 5000))];
  if (number % 7 === 0) then.push({ kind: "delete-prefix", prefix: "/few/" });
  else then.push(put(`/few/${number}`, ""));
  const { revision } = await store.transact({ compare: [], then });
  if (number % 50 === 0) await store.compact(revision - 20n);
  process.stdout.write(`${number}\n`);
}
