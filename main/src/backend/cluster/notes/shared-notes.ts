/** The way to the notes. Their library takes as long to load as a short command runs, so it is loaded when notes are asked for. */
import type { NoteList } from "@wardline/api/wardline/console/v1/activity";
import type { SetNoteRequest } from "@wardline/api/wardline/console/v1/cluster";
import type { NotesHub, NotesPorts } from "./notes-hub.ts";

export class SharedNotes {
  readonly #ports: NotesPorts;
  #hub: Promise<NotesHub> | null = null;

  constructor(ports: NotesPorts) {
    this.#ports = ports;
  }

  /** See `NotesHub.follow`. */
  async *follow(signal: AbortSignal): AsyncGenerator<NoteList> {
    const hub = await this.#load();
    yield* hub.follow(signal);
  }

  /** See `NotesHub.fetch`. */
  async fetch(clusterName: string): Promise<NoteList> {
    const hub = await this.#load();
    return hub.fetch(clusterName);
  }

  /** See `NotesHub.set`. */
  async set(request: SetNoteRequest): Promise<void> {
    const hub = await this.#load();
    return hub.set(request);
  }

  #load(): Promise<NotesHub> {
    this.#hub ??= import("./notes-hub.ts").then((module) => new module.NotesHub(this.#ports));
    return this.#hub;
  }
}
