/** Keeps the thread of the language at what the workspace and the fleet are: texts of all files, drafts first, and facts. */
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { createClient } from "@connectrpc/connect";
import { type GetVocabularyResponse, VocabularyService } from "@wardline/api/wardline/console/v1/vocabulary";
import type { FleetFacts, RuleUse } from "@wardline/domain/policy/language";
import type { ConsoleConnection } from "../../../data/console-connection.ts";
import type { DraftStore } from "../../../data/draft-store.ts";
import { useWindow, type WindowState } from "../../../data/window-store.ts";
import type { LanguageClient } from "./language-client.ts";

const MAX_PATHS = 500;
const FACTS_EVERY_MS = 20_000;

export class WorkspaceFeed {
  readonly #connection: ConsoleConnection;
  readonly #drafts: DraftStore;
  readonly #client: LanguageClient;
  readonly #revisions = new Map<string, bigint>();
  readonly #onChange: () => void;
  #isReading = false;
  #isOutdated = false;
  #factsTimer: ReturnType<typeof setTimeout> | null = null;
  #stopped: (() => void)[] = [];

  /** @param onChange after texts of other files or facts have changed */
  constructor(connection: ConsoleConnection, drafts: DraftStore, client: LanguageClient, onChange: () => void) {
    this.#connection = connection;
    this.#drafts = drafts;
    this.#client = client;
    this.#onChange = onChange;
  }

  /** Whether every file of the workspace was read once. */
  isComplete = false;

  start(): void {
    if (this.#stopped.length > 0) return;
    this.#stopped = [
      this.#connection.workspace.subscribe(() => void this.#followFiles()),
      // Flows are counted over the time range of the window.
      useWindow.subscribe((now, before) => {
        if (now.lastMs === before.lastMs && now.markedRange === before.markedRange) return;
        clearTimeout(this.#factsTimer ?? undefined);
        void this.#followFacts();
      }),
    ];
    void this.#followFiles();
    void this.#followFacts();
  }

  stop(): void {
    for (const stop of this.#stopped) stop();
    this.#stopped = [];
    if (this.#factsTimer) clearTimeout(this.#factsTimer);
  }

  async #followFiles(): Promise<void> {
    this.#isOutdated = true;
    if (this.#isReading) return;
    this.#isReading = true;
    try {
      while (this.#isOutdated) {
        this.#isOutdated = false;
        await this.#readFiles();
      }
    } catch {
      // Not reachable now: the next message of the workspace, or the next look at the editor, tries again.
    } finally {
      this.#isReading = false;
    }
  }

  async #readFiles(): Promise<void> {
    const { value } = this.#connection.workspace.getState();
    if (!value) return;
    const files = new Map(
      value.files.filter(({ revision }) => revision > 0n).map((file) => [file.path, file.revision]),
    );
    const wanted = [...files]
      .filter(([path, revision]) => this.#revisions.get(path) !== revision)
      .map(([path]) => path);
    const gone = [...this.#revisions.keys()].filter((path) => !files.has(path));
    for (const path of gone) this.#revisions.delete(path);
    const texts: [string, string][] = [];
    for (let at = 0; at < wanted.length; at += MAX_PATHS) {
      const answer = await vocabularyOf(this.#connection).getTexts({ paths: wanted.slice(at, at + MAX_PATHS) });
      for (const { path, text, revision } of answer.files) {
        this.#revisions.set(path, revision);
        // What is typed here is newer than what is stored.
        const draft = this.#drafts.get(path);
        texts.push([path, normalLines(draft && draft.status !== "loading" ? draft.text : text)]);
      }
    }
    for (const { path, text } of this.#drafts.unsaved()) texts.push([path, normalLines(text)]);
    this.#client.setTexts(texts, gone);
    const isFirst = !this.isComplete;
    this.isComplete = true;
    if (isFirst || texts.length > 0 || gone.length > 0) this.#onChange();
  }

  async #followFacts(): Promise<void> {
    try {
      this.#client.setFacts(
        factsOf(await vocabularyOf(this.#connection).getVocabulary(windowOf(useWindow.getState()))),
      );
      this.#onChange();
    } catch {
      // Counts stay as they were; the editor works without them.
    }
    if (this.#stopped.length > 0) this.#factsTimer = setTimeout(() => void this.#followFacts(), FACTS_EVERY_MS);
  }
}

function windowOf({ lastMs, markedRange }: Pick<WindowState, "lastMs" | "markedRange">) {
  const sinceMs = markedRange?.fromMs ?? (lastMs === null ? null : Date.now() - lastMs);
  return sinceMs === null ? {} : { since: timestampFromMs(sinceMs) };
}

function vocabularyOf(connection: ConsoleConnection) {
  return createClient(VocabularyService, connection.transport);
}

/** As the editor has them: places are the same, whatever the file's line ends are. */
export function normalLines(text: string): string {
  return text.includes("\r") ? text.replace(/\r\n?/g, "\n") : text;
}

function factsOf(answer: GetVocabularyResponse): FleetFacts {
  const time = (value: GetVocabularyResponse["since"]): number | null => (value ? timestampMs(value) : null);
  return {
    ports: answer.ports.map(({ protocol, port, flows, denied }) => ({
      protocol,
      port,
      flows: Number(flows),
      denied: Number(denied),
    })),
    addresses: answer.addresses.map(({ address, name, flows }) => ({ address, name, flows: Number(flows) })),
    rules: new Map(
      answer.rules.map((rule): [string, RuleUse] => [
        rule.decisionId,
        {
          flows: Number(rule.flows),
          denied: Number(rule.denied),
          lastFlowUnixMs: time(rule.lastFlow),
          packets: Number(rule.packets),
          hostCount: rule.hostCount,
          countedAtUnixMs: time(rule.countedAt),
          lastHitUnixMs: time(rule.lastHit),
        },
      ]),
    ),
    discovered: answer.discovered.map(({ kind, namespace, name, labels, addresses }) => ({
      kind: kind === "member" ? "member" : "service",
      ...{ namespace, name, labels, addresses },
    })),
    flows: Number(answer.flows),
    sinceUnixMs: time(answer.since),
    hostsAsked: answer.hostsAsked,
    hostsCounting: answer.hostsCounting,
  };
}
