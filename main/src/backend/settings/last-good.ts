/** What the files said when they last could be read: it counts while they cannot. Kept over a restart. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { SettingKey, SettingValue } from "@wardline/domain/settings";
import { goodValues } from "@wardline/domain/settings";
import type { SettingsReading } from "@wardline/domain/settings/file";
import { writeAtomically } from "../files/atomic-write.ts";
import type { Logger } from "../ports.ts";

export type GoodValues = ReadonlyMap<SettingKey, SettingValue>;
type Which = "user" | "locked";

export class LastGood {
  readonly #path: string;
  readonly #logger: Logger;
  readonly #values: Record<Which, GoodValues>;
  #written: string;

  constructor(stateDir: string, logger: Logger) {
    this.#path = join(stateDir, "settings-last-good.json");
    this.#logger = logger;
    this.#values = read(this.#path);
    this.#written = this.#text();
  }

  /** What counts now: of a broken file all that counted before, of a value that does not fit the one before. */
  take(which: Which, { isBroken, settings, unfit }: SettingsReading): GoodValues {
    const before = this.#values[which];
    if (isBroken) return before;
    const now = new Map<SettingKey, SettingValue>();
    for (const [key, { value }] of settings) now.set(key, value);
    for (const key of unfit.keys()) {
      const kept = before.get(key);
      if (kept !== undefined) now.set(key, kept);
    }
    this.#values[which] = now;
    return now;
  }

  /** Writes what changed. Only ever a convenience: that it fails is told to the log. */
  keep(): void {
    const text = this.#text();
    if (text === this.#written) return;
    try {
      writeAtomically(this.#path, text);
      this.#written = text;
    } catch (error) {
      this.#logger.warn({ err: error }, "the last good settings could not be kept");
    }
  }

  #text(): string {
    const { user, locked } = this.#values;
    return `${JSON.stringify({ user: Object.fromEntries(user), locked: Object.fromEntries(locked) })}\n`;
  }
}

function read(path: string): Record<Which, GoodValues> {
  try {
    const { user, locked } = JSON.parse(readFileSync(path, "utf8"));
    return { user: toMap(user), locked: toMap(locked) };
  } catch {
    return { user: new Map(), locked: new Map() };
  }
}

function toMap(values: unknown): GoodValues {
  return new Map(Object.entries(goodValues(values)) as [SettingKey, SettingValue][]);
}
