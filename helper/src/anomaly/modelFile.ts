/** What detection keeps between two starts besides its findings: the model with its place in the journal, and the settings. */
import { existsSync } from "node:fs";
import { readFile, rename, stat } from "node:fs/promises";
import { join } from "node:path";
import { fromJson, type JsonValue, toJson } from "@bufbuild/protobuf";
import { AnomalySettingsSchema } from "@wardline/api/wardline/v1/anomaly";
import type { AnomalySettings, SavedModel } from "@wardline/domain/anomaly";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { fromWireSettings, toWireSettings } from "@wardline/domain/wire";
import { isErrno, replaceFile, toWriteFailure } from "../files/atomicFile.ts";

/** A model together with what it has seen: both or neither. */
export interface KeptModel {
  readonly journalId: string;
  /** Everything up to this batch is in the model. */
  readonly sequence: bigint;
  /** Feedback up to this number is in the model; see `FindingStore`. */
  readonly feedbackNumber: number;
  readonly model: SavedModel;
}

const MAX_BYTES = 8 * 1024 * 1024;
const MAX_SETTINGS_BYTES = 16 * 1024;

export interface ReadModel {
  /** `null` = there is none, or it was damaged. */
  readonly kept: KeptModel | null;
  /** A sentence; empty = all is well. */
  readonly problem: string;
}

export class ModelFile {
  readonly #directory: string;

  /** `directory` exists. */
  constructor(directory: string) {
    this.#directory = directory;
  }

  get path(): string {
    return join(this.#directory, "model.json");
  }

  exists(): boolean {
    return existsSync(this.path);
  }

  /** A damaged file is moved aside. Throws `Failure` when the file system refuses. */
  async read(): Promise<ReadModel> {
    const text = await readBounded(this.path, MAX_BYTES);
    if (text === null) return { kept: null, problem: "" };
    const kept = text === "too large" ? null : await decode(text);
    if (kept) return { kept, problem: "" };
    return { kept: null, problem: await this.moveAside("is damaged") };
  }

  /** Returns what there is to say about it. */
  async moveAside(why: string): Promise<string> {
    const aside = await moveAside(this.path);
    return `The model of the detectors ${why}: it was moved to ${aside}, and is learned anew from the journal.`;
  }

  /** Atomic. Throws `Failure` DISK_FULL, INTERNAL. */
  async write({ journalId, sequence, feedbackNumber, model }: KeptModel): Promise<void> {
    const place = { journalId, sequence: sequence.toString(), feedbackNumber };
    const heading = JSON.stringify({ ...place, sha256: await digestOf(`${Object.values(place)}\n${model}`) });
    try {
      await replaceFile(this.path, `${heading}\n${model}`);
    } catch (error) {
      throw toWriteFailure(error, "the model of the detectors");
    }
  }

  /** `null` = nobody ever set anything, or the file is damaged. */
  async readSettings(): Promise<AnomalySettings | null> {
    const text = await readBounded(join(this.#directory, "settings.json"), MAX_SETTINGS_BYTES);
    if (text === null) return null;
    try {
      return fromWireSettings(fromJson(AnomalySettingsSchema, JSON.parse(text) as JsonValue));
    } catch {
      await moveAside(join(this.#directory, "settings.json"));
      return null;
    }
  }

  /** Atomic. Throws `Failure` DISK_FULL, INTERNAL. */
  async writeSettings(settings: AnomalySettings): Promise<void> {
    try {
      const json = toJson(AnomalySettingsSchema, toWireSettings(settings));
      await replaceFile(join(this.#directory, "settings.json"), `${JSON.stringify(json)}\n`);
    } catch (error) {
      throw toWriteFailure(error, "the settings of the detectors");
    }
  }
}

/** Where it is now. One damaged file is kept of each kind: the newest. */
export async function moveAside(path: string): Promise<string> {
  const aside = `${path}.damaged`;
  try {
    await rename(path, aside);
  } catch (error) {
    if (isErrno(error, "ENOENT")) return aside;
    throw new Failure(
      { code: ErrorCode.INTERNAL, message: `${path} is damaged and cannot be moved aside: ${error}` },
      { cause: error },
    );
  }
  return aside;
}

async function readBounded(path: string, maxBytes: number): Promise<string | null> {
  try {
    if ((await stat(path)).size > maxBytes) return "too large";
    return await readFile(path, "utf8");
  } catch (error) {
    if (isErrno(error, "ENOENT")) return null;
    throw new Failure({ code: ErrorCode.INTERNAL, message: `${path} cannot be read: ${error}` }, { cause: error });
  }
}

/** First a line about the model, then the model as the detectors gave it. */
async function decode(text: string): Promise<KeptModel | null> {
  const end = text.indexOf("\n");
  const model = text.slice(end + 1);
  try {
    const { journalId, sequence, feedbackNumber, sha256 } = JSON.parse(text.slice(0, end)) as Record<string, unknown>;
    if (typeof journalId !== "string" || typeof sequence !== "string" || !/^\d{1,20}$/.test(sequence)) return null;
    if (typeof feedbackNumber !== "number" || !Number.isSafeInteger(feedbackNumber)) return null;
    const digest = await digestOf(`${[journalId, sequence, feedbackNumber]}\n${model}`);
    return digest === sha256 ? { journalId, sequence: BigInt(sequence), feedbackNumber, model } : null;
  } catch {
    return null;
  }
}

/** On a thread of the platform: a model may have megabytes. */
async function digestOf(text: string): Promise<string> {
  return Buffer.from(await crypto.subtle.digest("SHA-256", Buffer.from(text))).toString("hex");
}
