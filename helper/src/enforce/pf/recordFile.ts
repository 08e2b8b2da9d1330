/** The record in a file of the agent's state directory. */
import { readFileSync, rmSync } from "node:fs";
import { replaceFileSync } from "./pfConfFile.ts";
import { decodeRecord, encodeRecord, type PfStore } from "./record.ts";

export function pfRecordFile(path: string): PfStore {
  return {
    read() {
      let text: string;
      try {
        text = readFileSync(path, "utf8");
      } catch (error) {
        if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
        throw error;
      }
      return decodeRecord(text);
    },
    write: (record) => replaceFileSync(path, encodeRecord(record)),
    clear: () => rmSync(path, { force: true }),
  };
}
