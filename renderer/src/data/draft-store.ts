import { ErrorCode } from "@wardline/api/wardline/v1/error";
import { errorCodeOf, isConnectionLoss, type ShownFailure, shownFailure } from "./failure.ts";

export type DraftStatus =
  | "loading"
  | "saved"
  | "dirty"
  | "saving"
  /** The backend does not answer: the text is kept in this browser and sent when it does. */
  | "kept-locally"
  /** Somebody else saved the file since this draft began; nothing is overwritten until the person decides. */
  | "conflict"
  /** The backend refused the text, or the file cannot be read. The text is kept in this browser. */
  | "refused";

export interface Draft {
  readonly path: string;
  readonly text: string;
  /** Revision the text is based on; 0 = the file does not exist yet. */
  readonly baseRevision: bigint;
  readonly status: DraftStatus;
  readonly failure: ShownFailure | null;
  /** The text of that revision: what both sides of a conflict began from. `null` = not known in this window. */
  readonly baseText: string | null;
  /** The other side of a conflict. */
  readonly theirs: { readonly text: string; readonly revision: bigint } | null;
}

/** There is no text: the first read of it failed. An empty file has one. */
export function wasNotRead({ status, text, baseRevision }: Draft): boolean {
  return status === "refused" && text === "" && baseRevision === 0n;
}

export interface DraftPorts {
  readonly read: (path: string) => Promise<{ text: string; revision: bigint }>;
  readonly write: (path: string, text: string, baseRevision: bigint) => Promise<{ revision: bigint }>;
  readonly storage: Pick<Storage, "getItem" | "setItem" | "removeItem">;
}

const SAVE_AFTER_MS = 700;
const RETRY_AFTER_MS = 3_000;
const storageKey = (path: string) => `wardline.draft:${path}`;

/** The texts being edited. Each edit is saved by itself; a text that is not saved yet never exists in memory only. */
export class DraftStore {
  readonly #ports: DraftPorts;
  readonly #drafts = new Map<string, Draft>();
  readonly #timers = new Map<string, ReturnType<typeof setTimeout>>();
  /** Texts of which something is typed that is not here yet. */
  readonly #typing = new Set<string>();
  readonly #listeners = new Set<() => void>();
  #version = 0;

  constructor(ports: DraftPorts) {
    this.#ports = ports;
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Changes whenever any draft does. */
  readonly getVersion = (): number => this.#version;

  get(path: string): Draft | null {
    return this.#drafts.get(path) ?? null;
  }

  /** Drafts whose text the backend does not have. */
  unsaved(): readonly Draft[] {
    return [...this.#drafts.values()].filter((draft) => draft.status !== "saved" && draft.status !== "loading");
  }

  /** Reads the file, unless a text that was never saved waits in this browser; then that one is taken and saved. */
  async open(path: string): Promise<void> {
    const existing = this.#drafts.get(path);
    if (existing && !(existing.status === "refused" && existing.text === "")) return;
    const kept = this.#readKept(path);
    if (kept) {
      this.#set({ path, ...kept, status: "dirty", failure: null, theirs: null });
      await this.save(path);
      return;
    }
    this.#set({ path, text: "", baseRevision: 0n, baseText: null, status: "loading", failure: null, theirs: null });
    await this.#load(path);
  }

  async #load(path: string): Promise<void> {
    try {
      const { text, revision } = await this.#ports.read(path);
      const current = this.#drafts.get(path);
      if (current && current.status !== "loading" && current.status !== "saved") return;
      this.#set({ path, text, baseRevision: revision, baseText: text, status: "saved", failure: null, theirs: null });
    } catch (error) {
      const current = this.#drafts.get(path);
      if (current?.status !== "loading") return;
      this.#set({ ...current, status: "refused", failure: shownFailure(error) });
    }
  }

  /** Something was typed that `edit` brings soon: until then nobody is told that it is saved. */
  typing(path: string): void {
    this.#typing.add(path);
    const draft = this.#drafts.get(path);
    if (draft?.status === "saved") this.#set({ ...draft, status: "dirty" });
  }

  edit(path: string, text: string): void {
    const isTyped = this.#typing.delete(path);
    const draft = this.#drafts.get(path);
    if (!draft || draft.status === "loading") return;
    if (draft.text === text) {
      // Typed and taken back.
      if (isTyped && draft.status === "dirty" && draft.baseText === text) this.#set({ ...draft, status: "saved" });
      return;
    }
    const status = draft.status === "conflict" ? "conflict" : "dirty";
    this.#set({ ...draft, text, status, failure: status === "conflict" ? draft.failure : null });
    this.#keep(path);
    if (status === "dirty") this.#schedule(path, SAVE_AFTER_MS);
  }

  /** Saves now. Edits made while the answer is under way are saved after it. */
  async save(path: string): Promise<void> {
    clearTimeout(this.#timers.get(path));
    const draft = this.#drafts.get(path);
    if (!draft || (draft.status !== "dirty" && draft.status !== "kept-locally" && draft.status !== "refused")) return;
    this.#set({ ...draft, status: "saving" });
    const sentText = draft.text;
    try {
      const { revision } = await this.#ports.write(path, sentText, draft.baseRevision);
      const now = this.#drafts.get(path);
      if (!now) return;
      const isCurrent = now.text === sentText;
      const saved = { baseRevision: revision, baseText: sentText, failure: null, theirs: null };
      this.#set({ ...now, ...saved, status: isCurrent && !this.#typing.has(path) ? "saved" : "dirty" });
      if (isCurrent) this.#ports.storage.removeItem(storageKey(path));
      else this.#schedule(path, SAVE_AFTER_MS);
    } catch (error) {
      await this.#saveFailed(path, error);
    }
  }

  async #saveFailed(path: string, error: unknown): Promise<void> {
    const draft = this.#drafts.get(path);
    if (!draft) return;
    const failure = shownFailure(error);
    if (errorCodeOf(error) === ErrorCode.REVISION_CONFLICT) {
      const theirs = await this.#ports.read(path).catch(() => ({ text: "", revision: 0n }));
      const now = this.#drafts.get(path) ?? draft;
      if (theirs.text === now.text) {
        const saved = { baseRevision: theirs.revision, baseText: theirs.text, failure: null, theirs: null };
        this.#set({ ...now, ...saved, status: "saved" });
        this.#ports.storage.removeItem(storageKey(path));
        return;
      }
      this.#set({ ...now, status: "conflict", failure, theirs });
      return;
    }
    const isLost = isConnectionLoss(error);
    this.#set({ ...draft, status: isLost ? "kept-locally" : "refused", failure });
    if (isLost) this.#schedule(path, RETRY_AFTER_MS);
  }

  /** Ends a conflict: `mine` saves this text over theirs, `theirs` drops it, a text is what a person made of both. */
  async resolve(path: string, choice: "mine" | "theirs" | { readonly merged: string }): Promise<void> {
    const draft = this.#drafts.get(path);
    if (draft?.status !== "conflict" || !draft.theirs) return;
    const { text, revision } = draft.theirs;
    if (choice === "theirs") {
      this.#ports.storage.removeItem(storageKey(path));
      this.#set({ path, text, baseRevision: revision, baseText: text, status: "saved", failure: null, theirs: null });
      return;
    }
    const merged = choice === "mine" ? draft.text : choice.merged;
    const open = { text: merged, baseRevision: revision, baseText: text, failure: null, theirs: null } as const;
    this.#set({ ...draft, ...open, status: "dirty" });
    this.#keep(path);
    await this.save(path);
  }

  /** The workspace has another revision now: a draft without changes of its own follows it. */
  async follow(path: string, revision: bigint): Promise<void> {
    const draft = this.#drafts.get(path);
    if (draft?.status === "saved" && draft.baseRevision !== revision) await this.#load(path);
  }

  /** Forgets a file that was deleted or renamed. */
  forget(path: string): void {
    clearTimeout(this.#timers.get(path));
    this.#drafts.delete(path);
    this.#ports.storage.removeItem(storageKey(path));
    this.#notify();
  }

  #schedule(path: string, delayMs: number): void {
    clearTimeout(this.#timers.get(path));
    this.#timers.set(
      path,
      setTimeout(() => void this.save(path), delayMs),
    );
  }

  #keep(path: string): void {
    const draft = this.#drafts.get(path);
    if (!draft) return;
    try {
      const { text, baseText } = draft;
      const kept = JSON.stringify({ text, baseText, baseRevision: String(draft.baseRevision) });
      this.#ports.storage.setItem(storageKey(path), kept);
    } catch {
      // The browser's storage is full or closed: the text stays in memory and is sent to the backend as usual.
    }
  }

  #readKept(path: string): Pick<Draft, "text" | "baseText" | "baseRevision"> | null {
    try {
      const kept: unknown = JSON.parse(this.#ports.storage.getItem(storageKey(path)) ?? "null");
      if (typeof kept !== "object" || kept === null || !("text" in kept) || !("baseRevision" in kept)) return null;
      if (typeof kept.text !== "string" || typeof kept.baseRevision !== "string") return null;
      const baseText = "baseText" in kept && typeof kept.baseText === "string" ? kept.baseText : null;
      return { text: kept.text, baseText, baseRevision: BigInt(kept.baseRevision) };
    } catch {
      return null;
    }
  }

  #set(draft: Draft): void {
    this.#drafts.set(draft.path, draft);
    this.#notify();
  }

  #notify(): void {
    this.#version += 1;
    for (const listener of this.#listeners) listener();
  }
}
