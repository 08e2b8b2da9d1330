/** Local accounts. Directory services are not asked: they may be across a network that policy has just closed. */
import { readFileSync } from "node:fs";

/** Names by user id; the first line of an id wins, as in the C library. Empty when there is no such file. */
export function readUserNames(path = "/etc/passwd"): Map<number, string> {
  const names = new Map<number, string>();
  let text = "";
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return names;
  }
  for (const line of text.split("\n")) {
    const [name = "", , id = ""] = line.split(":");
    if (name !== "" && /^\d+$/.test(id) && !names.has(Number(id))) names.set(Number(id), name);
  }
  return names;
}

const CACHE_MS = 5_000;

/** Names that are read anew after a few seconds. */
export class UserNames {
  readonly #path: string;
  readonly #nowMs: () => number;
  #names: ReadonlyMap<number, string> = new Map();
  #readAtMs = Number.NEGATIVE_INFINITY;

  constructor(nowMs: () => number, path = "/etc/passwd") {
    this.#nowMs = nowMs;
    this.#path = path;
  }

  /** Empty when this host knows no such user. */
  get(userId: number): string {
    const nowMs = this.#nowMs();
    if (nowMs - this.#readAtMs >= CACHE_MS) {
      this.#names = readUserNames(this.#path);
      this.#readAtMs = nowMs;
    }
    return this.#names.get(userId) ?? "";
  }
}
