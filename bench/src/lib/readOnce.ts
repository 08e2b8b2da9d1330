/** One reading in a process of its own, so that its peak memory is that of the reading. Prints one line of JSON. */
import { readPolicyFiles } from "@wardline/domain/policy";
import { parseAllDocuments } from "yaml";
import { makePolicyFiles } from "./policyDocuments.ts";

export interface OnceResult {
  readonly documents: number;
  readonly characters: number;
  readonly wallMs: number;
  readonly processorMs: number;
  readonly peakMiB: number;
}

const [reader, policies, hosts] = process.argv.slice(2);
const files = makePolicyFiles({ policies: Number(policies), hosts: Number(hosts) });
const processorBefore = process.cpuUsage();
const start = performance.now();
const documents = reader === "library" ? parseWithLibrary() : readPolicyFiles(files).documents.length;
const wallMs = performance.now() - start;
const { user, system } = process.cpuUsage(processorBefore);
const result: OnceResult = {
  documents,
  characters: files.reduce((sum, { text }) => sum + text.length, 0),
  wallMs,
  processorMs: (user + system) / 1000,
  peakMiB: process.resourceUsage().maxRSS / 1024,
};
console.log(JSON.stringify(result));

/** Documents with places, as a check needs them; no check is made. One file after the other is let go. */
function parseWithLibrary(): number {
  let count = 0;
  for (const { text } of files) count += parseAllDocuments(text).length;
  return count;
}
