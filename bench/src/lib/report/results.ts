/** Reads published results without trusting their shape: what is missing is shown as not measured. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

export class Results {
  readonly #files: ReadonlyMap<string, Json>;

  constructor(directory: string) {
    const names = readdirSync(directory).filter((name) => name.endsWith(".json"));
    this.#files = new Map(
      names.map((name) => [name.slice(0, -5), JSON.parse(readFileSync(join(directory, name), "utf8")) as Json]),
    );
  }

  has(file: string): boolean {
    return this.#files.has(file);
  }

  /** What is at a path inside a file; `null` when there is no such place. */
  at(file: string, ...path: readonly string[]): Json {
    return follow(this.#files.get(file) ?? null, path);
  }

  number(file: string, ...path: readonly string[]): number | null {
    const found = this.at(file, ...path);
    return typeof found === "number" ? found : null;
  }

  text(file: string, ...path: readonly string[]): string | null {
    const found = this.at(file, ...path);
    return typeof found === "string" ? found : null;
  }

  /** Members of an object, in their order; none when there is no such object. */
  entries(file: string, ...path: readonly string[]): (readonly [string, Json])[] {
    return membersOf(this.at(file, ...path));
  }

  list(file: string, ...path: readonly string[]): readonly Json[] {
    const found = this.at(file, ...path);
    return Array.isArray(found) ? found : [];
  }
}

export function follow(value: Json, path: readonly string[]): Json {
  let here = value;
  for (const step of path) {
    if (here === null || typeof here !== "object" || Array.isArray(here)) return null;
    here = (here as { readonly [key: string]: Json })[step] ?? null;
  }
  return here;
}

export function membersOf(value: Json): (readonly [string, Json])[] {
  return value !== null && typeof value === "object" && !Array.isArray(value) ? Object.entries(value) : [];
}

export function numberAt(value: Json, ...path: readonly string[]): number | null {
  const found = follow(value, path);
  return typeof found === "number" ? found : null;
}
