/** What the language said of the file that is looked at: never of a text that is no longer there. */
import type { CheckAnswer, LineMeaning, ProofSummary, References, RuleMark } from "@wardline/domain/policy/language";
import type { ConsoleConnection } from "../../../data/console-connection.ts";
import type { DraftStore } from "../../../data/draft-store.ts";
import { LanguageClient, type WorkerPort } from "./language-client.ts";
import { normalLines, WorkspaceFeed } from "./workspace-feed.ts";

export interface LanguageState {
  readonly path: string | null;
  /** Of the text that `check` is about; grows with every change. */
  readonly version: number;
  readonly check: CheckAnswer | null;
  /** Whether the text has changed since. */
  readonly isChecking: boolean;
  readonly rules: readonly RuleMark[];
  readonly proof: ProofSummary | null;
  readonly isProving: boolean;
  readonly line: LineMeaning | null;
  readonly references: References | null;
  /** Why there are no answers; empty while there are. */
  readonly failure: string;
}

const NOTHING: LanguageState = {
  ...{ path: null, version: 0, check: null, isChecking: true, rules: [], proof: null, isProving: false },
  ...{ line: null, references: null, failure: "" },
};
/** After the last key, so that proofs do not take the processor from typing. */
const PROVE_AFTER_MS = 250;
const LINE_AFTER_MS = 120;
/** What stands beside the text follows when the typing pauses for so long, */
const SHOW_AFTER_MS = 250;
/** and while it does not pause, so often: marks in the text itself are there at once. */
const SHOW_EVERY_MS = 1_000;

export class LanguageStore {
  readonly client: LanguageClient;
  readonly #feed: WorkspaceFeed;
  readonly #listeners = new Set<() => void>();
  readonly #watchers = new Set<() => void>();
  #state = NOTHING;
  #shown = NOTHING;
  #shownAtMs = 0;
  #showTimer: ReturnType<typeof setTimeout> | undefined;
  #version = 0;
  #isAsking = false;
  #proveTimer: ReturnType<typeof setTimeout> | undefined;
  #lineTimer: ReturnType<typeof setTimeout> | undefined;
  #cursorLine = 1;

  constructor(connection: ConsoleConnection, drafts: DraftStore, createWorker: () => WorkerPort = startWorker) {
    this.client = new LanguageClient(createWorker);
    this.#feed = new WorkspaceFeed(connection, drafts, this.client, () => this.#touch());
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    if (this.#listeners.size === 1) this.#feed.start();
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.#feed.stop();
    };
  };

  readonly getState = (): LanguageState => this.#state;

  /** For what stands beside the text: told of the state when the typing pauses, so that a key costs nothing there. */
  readonly watch = (listener: () => void): (() => void) => {
    this.#watchers.add(listener);
    const end = this.subscribe(this.#later);
    return () => {
      this.#watchers.delete(listener);
      if (this.#watchers.size === 0) end();
    };
  };

  readonly getShown = (): LanguageState => this.#shown;

  readonly #later = (): void => {
    const isOther = this.#state.path !== this.#shown.path;
    // The first answer about a file, and why there is none, are waited for.
    const isFirst = this.#shown.check === null || this.#state.failure !== this.#shown.failure;
    clearTimeout(this.#showTimer);
    if (isOther || isFirst) {
      this.#show();
      return;
    }
    const dueMs = this.#shownAtMs + SHOW_EVERY_MS - performance.now();
    this.#showTimer = setTimeout(() => this.#show(), Math.max(0, Math.min(SHOW_AFTER_MS, dueMs)));
  };

  #show(): void {
    if (this.#shown === this.#state) return;
    this.#shown = this.#state;
    this.#shownAtMs = performance.now();
    for (const watcher of this.#watchers) watcher();
  }

  /** The text as it stands in the editor now. */
  edit(path: string, text: string): void {
    const isOther = path !== this.#state.path;
    const isNew = this.client.setTexts([[path, normalLines(text)]]);
    if (isOther) this.#set({ ...NOTHING, path, proof: this.#state.proof });
    if (isNew || isOther) this.#touch();
  }

  /** The line of the cursor, from 1. */
  moveTo(line: number): void {
    this.#cursorLine = line;
    clearTimeout(this.#lineTimer);
    this.#lineTimer = setTimeout(() => void this.#askLine(), LINE_AFTER_MS);
  }

  async findReferences(offset: number): Promise<References | null> {
    const { path } = this.#state;
    if (path === null) return null;
    const references = await this.client.ask("references", { path, offset }).catch(() => null);
    if (this.#state.path === path) this.#set({ ...this.#state, references });
    return references;
  }

  forgetReferences(): void {
    this.#set({ ...this.#state, references: null });
  }

  /** Something that the answers depend on has changed. */
  #touch(): void {
    this.#version += 1;
    if (!this.#state.isChecking) this.#set({ ...this.#state, isChecking: true });
    void this.#check();
  }

  /** One question at a time, always about the newest text: while one is answered, keys only make the next one newer. */
  async #check(): Promise<void> {
    if (this.#isAsking || !this.#feed.isComplete) return;
    this.#isAsking = true;
    try {
      for (;;) {
        const { path } = this.#state;
        if (path === null) return;
        const version = this.#version;
        const check = await this.client.ask("check", { path, nowUnixMs: Date.now() });
        if (version !== this.#version || path !== this.#state.path) continue;
        this.#set({ ...this.#state, check, version, isChecking: false, failure: "" });
        this.#after(path, version);
        return;
      }
    } catch (error) {
      this.#set({ ...this.#state, isChecking: false, failure: error instanceof Error ? error.message : String(error) });
    } finally {
      this.#isAsking = false;
    }
  }

  #after(path: string, version: number): void {
    clearTimeout(this.#proveTimer);
    clearTimeout(this.#lineTimer);
    this.#lineTimer = setTimeout(() => void this.#askLine(), LINE_AFTER_MS);
    this.#proveTimer = setTimeout(() => void this.#prove(path, version), PROVE_AFTER_MS);
  }

  async #prove(path: string, version: number): Promise<void> {
    this.#set({ ...this.#state, isProving: true });
    const rules = await this.client.ask("rules", { path }).catch(() => []);
    const proof = await this.client.ask("prove", {}).catch(() => null);
    const isCurrent = version === this.#version && path === this.#state.path;
    this.#set(isCurrent ? { ...this.#state, rules, proof, isProving: false } : { ...this.#state, isProving: false });
  }

  async #askLine(): Promise<void> {
    const { path } = this.#state;
    if (path === null || this.#state.isChecking) return;
    const version = this.#version;
    const line = await this.client.ask("line", { path, line: this.#cursorLine }).catch(() => null);
    if (version === this.#version && path === this.#state.path) this.#set({ ...this.#state, line });
  }

  #set(state: LanguageState): void {
    this.#state = state;
    for (const listener of this.#listeners) listener();
  }
}

function startWorker(): WorkerPort {
  return new Worker(new URL("./language-worker.ts", import.meta.url), { type: "module", name: "policy language" });
}

const STORES = new WeakMap<ConsoleConnection, LanguageStore>();

/** One for each connection: what was read stays while other views are shown. */
export function languageOf(connection: ConsoleConnection, drafts: DraftStore): LanguageStore {
  const known = STORES.get(connection) ?? new LanguageStore(connection, drafts);
  STORES.set(connection, known);
  return known;
}
