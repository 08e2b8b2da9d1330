/** Flow events and readings of progress, counted into the tables of the windows that they belong to. */
import type { FlowProcess, FlowProgress } from "../../enforce/enforcer.ts";
import type { GenerationContext } from "../../generations/contexts.ts";
import type { KeptFlow } from "../flowMessage.ts";
import type { FlowBaselines, SeenProcess } from "./flowBaselines.ts";
import type { WindowClock } from "./windowClock.ts";
import { WindowTable } from "./windowTable.ts";

/** After a pause the rings hold events of many windows; beyond this they go to the open one. */
const MAX_TABLES = 64;
const MAX_KNOWN_PROCESSES = 4_096;

/** One moment on both clocks. */
export interface Moment {
  readonly bootNs: number;
  readonly wallMs: number;
}

export interface RollupPorts {
  readonly windows: WindowClock;
  readonly baselines: FlowBaselines;
  readonly contextOf: (generation: number) => GenerationContext | undefined;
  /** Different flows that one window tells apart. */
  readonly maxKeys: number;
}

export class FlowRollup {
  readonly #ports: RollupPorts;
  readonly #tables = new Map<number, WindowTable>();
  readonly #processes = new Map<number, SeenProcess>();

  constructor(ports: RollupPorts) {
    this.#ports = ports;
  }

  add(flows: readonly KeptFlow[], now: Moment): void {
    const { first, open } = this.#ports.windows.range;
    for (const flow of flows) {
      const seenMs = now.wallMs - (now.bootNs - Number(flow.event.bootNs)) / 1e6;
      this.#addOne(flow, this.#tableAt(seenMs, first, open), seenMs);
    }
  }

  /** What living flows moved since they were heard of last. */
  addProgress(readings: readonly FlowProgress[], cgroupPathOf: (id: bigint) => string, now: Moment): void {
    const { first, open } = this.#ports.windows.range;
    const { baselines, contextOf } = this.#ports;
    const { added } = baselines;
    for (const reading of readings) {
      const flow = baselines.progress(reading, now.bootNs / 1000);
      if (added.packets === 0 && added.originatorBytes === 0 && added.responderBytes === 0) continue;
      const seenMs = now.wallMs - (now.bootNs - Number(reading.lastSeenBootNs)) / 1e6;
      const table = this.#tableAt(seenMs, first, open);
      const draft = table.draftOf(reading, cgroupPathOf(reading.cgroupId), contextOf, seenMs);
      draft.add(added);
      if (flow?.process) draft.knowProcess(flow.process);
    }
  }

  /** The tables of all windows up to this one, oldest first, and of those that a clock that was set back has left behind. */
  take(sealed: number): WindowTable[] {
    const { open } = this.#ports.windows.range;
    const tables = [...this.#tables.values()].sort((left, right) => left.index - right.index);
    const leftBehind = tables.filter(({ index }) => index > open);
    const taken = [...leftBehind, ...tables.filter(({ index }) => index <= sealed)];
    for (const { index } of taken) this.#tables.delete(index);
    return taken;
  }

  #addOne({ event, cgroupPath, executable }: KeptFlow, table: WindowTable, seenMs: number): void {
    const { baselines, contextOf } = this.#ports;
    const draft = table.draftOf(event, cgroupPath, contextOf, seenMs);
    table.events += 1;
    const process = event.process === null ? null : this.#processOf(event.process, executable);
    if (process !== null) draft.knowProcess(process);
    if (event.kind === "deny") {
      draft.deniedPackets += 1;
      return;
    }
    const isStart = event.kind === "start";
    const flow = isStart ? baselines.start(event) : baselines.end(event);
    if (isStart) draft.started += 1;
    else draft.ended += 1;
    draft.add(baselines.added);
    if (flow === null) return;
    if (process !== null) flow.process = process;
    else if (flow.process !== null) draft.knowProcess(flow.process);
  }

  #tableAt(seenMs: number, first: number, open: number): WindowTable {
    const { windows, maxKeys } = this.#ports;
    const wanted = Math.min(open, Math.max(first, Math.floor(seenMs / windows.windowMs)));
    const known = this.#tables.get(wanted);
    if (known !== undefined) return known;
    const index = this.#tables.size < MAX_TABLES ? wanted : open;
    const table = this.#tables.get(index) ?? new WindowTable(index, maxKeys);
    this.#tables.set(index, table);
    return table;
  }

  /** One object for all events of a process, because living flows keep it. */
  #processOf({ pid, userId, command }: FlowProcess, executable: string): SeenProcess {
    const known = this.#processes.get(pid);
    if (known?.command === command && known.userId === userId && known.executable === executable) return known;
    if (this.#processes.size >= MAX_KNOWN_PROCESSES) this.#processes.clear();
    const process = { pid, userId, command, executable };
    this.#processes.set(pid, process);
    return process;
  }
}
