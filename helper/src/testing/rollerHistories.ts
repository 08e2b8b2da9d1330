/** Histories of a host's flows, and what its records have to say after each. */
import fc from "fast-check";
import { flowEvent } from "./flowEvent.ts";
import { type Counts, counted, type RollerHost, type SimulatedFlow } from "./rollerHost.ts";

export type Step =
  | { readonly kind: "cut" | "restart" | "crash"; readonly port?: never }
  | { readonly kind: "open" | "move" | "end" | "revive" | "deny"; readonly port: number; readonly amount: number };

const port = fc.integer({ min: 1, max: 6 });
const amount = fc.integer({ min: 1, max: 5_000 });
const traffic = fc.record({ kind: fc.constantFrom("open", "move", "move", "end", "deny"), port, amount });
export const revival = fc.record({ kind: fc.constant("revive"), port, amount });
const cut = fc.record({ kind: fc.constant("cut") });
export const steps = (...more: fc.WeightedArbitrary<Step>[]): fc.Arbitrary<Step[]> =>
  fc.array(fc.oneof({ weight: 6, arbitrary: traffic }, { weight: 2, arbitrary: cut }, ...more), {
    minLength: 10,
    maxLength: 60,
  });

/** What was said of each flow so far, and of it what reached the disk: a crash leaves only that. */
class Ledger {
  readonly events = { started: 0, ended: 0, deniedPackets: 0 };
  readonly told = new Map<number, SimulatedFlow>();
  #kept: { events: Ledger["events"]; told: Map<number, SimulatedFlow> } | null = null;

  keep(): void {
    this.#kept = structuredClone({ events: this.events, told: this.told });
  }

  loseOpenWindow(): void {
    const kept = this.#kept;
    Object.assign(this.events, kept?.events ?? { started: 0, ended: 0, deniedPackets: 0 });
    this.told.clear();
    for (const [id, flow] of kept?.told ?? []) this.told.set(id, flow);
    this.keep();
  }

  sum(): Counts {
    const flows = [...this.told.values()];
    const total = (count: "packets" | "originatorBytes" | "responderBytes") =>
      BigInt(flows.reduce((sum, flow) => sum + flow[count], 0));
    return {
      started: BigInt(this.events.started),
      ended: BigInt(this.events.ended),
      deniedPackets: BigInt(this.events.deniedPackets),
      packets: total("packets"),
      originatorBytes: total("originatorBytes"),
      responderBytes: total("responderBytes"),
    };
  }
}

/** With `reusesPorts` a later connection of the same ends looks the same. */
export async function play(host: RollerHost, steps: readonly Step[], reusesPorts: boolean): Promise<Ledger> {
  const ledger = new Ledger();
  const ids = new Map<SimulatedFlow, number>();
  const ended = new Map<number, SimulatedFlow>();
  const tell = (flow: SimulatedFlow) => void ledger.told.set(ids.get(flow) ?? 0, { ...flow });
  const say = (flow: SimulatedFlow, kind: "start" | "end") => {
    flow.event = { ...flow.event, kind, bootNs: host.clock.bootNs() };
    host.publish(counted(flow));
    ledger.events[kind === "start" ? "started" : "ended"] += 1;
    tell(flow);
  };
  const keep = () => {
    for (const flow of host.flows.values()) tell(flow);
    ledger.keep();
  };
  await host.start();
  // Until something is written the next agent takes what goes on as given, as the first one on a host does.
  host.publish(flowEvent({ bootNs: host.clock.bootNs() }));
  ledger.events.deniedPackets += 1;
  await host.cut();
  keep();
  for (const step of steps) {
    host.clock.nowMs += 7;
    if (step.kind === "cut" || step.kind === "restart") {
      await (step.kind === "cut" ? host.cut() : host.restart());
      keep();
    } else if (step.kind === "crash") {
      await host.crash();
      ledger.loseOpenWindow();
    } else if (step.port !== undefined) {
      const key = String(step.port);
      const living = host.flows.get(key);
      if (step.kind === "deny") {
        host.publish(flowEvent({ destinationPort: step.port, bootNs: host.clock.bootNs() }));
        ledger.events.deniedPackets += 1;
      } else if (step.kind === "open" && !living) {
        const event = flowEvent({
          ...{ kind: "start", verdict: "allow", enforced: "allow", destinationPort: step.port },
          protocol: step.port % 2 === 0 ? 6 : 17,
          sourcePort: reusesPorts ? 40_000 : 40_000 + ids.size,
        });
        const flow = { event, packets: 1, originatorBytes: step.amount, responderBytes: 0 };
        ids.set(flow, ids.size + 1);
        host.flows.set(key, flow);
        say(flow, "start");
      } else if (step.kind === "move" && living) {
        living.packets += 2;
        living.originatorBytes += step.amount;
        living.responderBytes += step.amount * 3;
        living.event = { ...living.event, bootNs: host.clock.bootNs() };
      } else if (step.kind === "end" && living) {
        host.flows.delete(key);
        say(living, "end");
        ended.set(step.port, living);
      } else if (step.kind === "revive" && !living && ended.has(step.port)) {
        const flow = ended.get(step.port) as SimulatedFlow;
        const isRecent = Number(host.clock.bootNs() - flow.event.bootNs) < 9e9;
        if (!isRecent || flow.event.protocol !== 6) continue;
        flow.packets += 1;
        flow.originatorBytes += step.amount;
        host.flows.set(key, flow);
        ended.delete(step.port);
        say(flow, "start");
      }
    }
  }
  await host.restart();
  keep();
  return ledger;
}
