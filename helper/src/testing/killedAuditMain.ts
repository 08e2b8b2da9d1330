/**
 * Writes audit entries into files of 1 KiB until it ends itself with SIGKILL at a checkpoint. Arguments: the directory, the
 * checkpoint, how often that is passed before. Prints every entry's action when the log has taken it.
 */
import { writeSync } from "node:fs";
import { AuditLog } from "../audit/auditLog.ts";

const [directory = "", checkpoint, passes = "0"] = process.argv.slice(2);
let left = Number(passes);
const log = await AuditLog.open(directory, Date.now, null, {
  limits: { maxBytes: 4096, maxAgeMs: 86_400_000, segmentBytes: 1024 },
  checkpoint(step) {
    if (step === checkpoint && left-- === 0) process.kill(process.pid, "SIGKILL");
  },
});
for (let count = 1; ; count += 1) {
  const action = `act-${count}`;
  await log.append({ actor: "root (0)", role: "admin", action, argumentDigest: "ab", outcome: "done", detail: "" });
  writeSync(1, `${action}\n`);
}
