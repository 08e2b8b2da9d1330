/** An agent on a socket of its own that has as many flows to tell as it is asked for. */
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { WatchFlowsResponseSchema } from "@wardline/api/wardline/agent/v1/agent";
import { type Flow, FlowEventKind, FlowHook, FlowProcessSchema, FlowSchema } from "@wardline/api/wardline/v1/flow";
import { DecisionSchema, Direction, Verdict } from "@wardline/api/wardline/v1/policy";
import { FakeAgent } from "@wardline/main/backend/testing/fake-agent";
import { seeded } from "./historyTraffic.ts";

const TICK_MS = 50;
/** Messages that were sent are not kept: a reader that began anew would find them empty. */
const KEPT_MESSAGES = 200;

export class FlowSource {
  readonly socketPath: string;
  sent = 0;
  readonly #agent: FakeAgent;
  readonly #random = seeded(11);
  #timer: NodeJS.Timeout | undefined;

  private constructor(socketPath: string, agent: FakeAgent) {
    this.socketPath = socketPath;
    this.#agent = agent;
  }

  static async serve(socketPath: string): Promise<FlowSource> {
    const agent = new FakeAgent();
    await agent.serve(socketPath);
    return new FlowSource(socketPath, agent);
  }

  start(perSecond: number): void {
    this.sent = 0;
    const startMs = performance.now();
    this.#timer = setInterval(() => {
      const due = Math.floor(((performance.now() - startMs) / 1_000) * perSecond) - this.sent;
      if (due <= 0) return;
      this.#agent.pushFlows(Array.from({ length: due }, () => this.#flow()));
      const { flowMessages } = this.#agent;
      const old = flowMessages.length - 1 - KEPT_MESSAGES;
      if (old >= 0) flowMessages[old] = create(WatchFlowsResponseSchema, { sequence: BigInt(old + 1) });
    }, TICK_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #flow(): Flow {
    const random = this.#random;
    const part = () => Math.floor(random() * 250);
    const isDenied = random() < 0.1;
    const verdict = isDenied ? Verdict.DENY : Verdict.ALLOW;
    const policy = `NetworkPolicy/default/web-${part() % 20}`;
    return create(FlowSchema, {
      id: BigInt(++this.sent),
      host: this.#agent.hostName,
      time: timestampFromMs(Date.now()),
      kind: isDenied ? FlowEventKind.DENY : FlowEventKind.START,
      direction: random() < 0.5 ? Direction.INGRESS : Direction.EGRESS,
      protocol: 6,
      sourceAddress: `10.1.${part()}.${part()}`,
      sourcePort: 32_768 + part() * 100,
      destinationAddress: `10.2.0.${part()}`,
      destinationPort: [22, 80, 443, 5_432][part() % 4]!,
      ...{ verdict, enforced: verdict, generation: 7n, subjectKey: `Host/${this.#agent.hostName}` },
      decision: create(DecisionSchema, {
        id: "00c0ffee00c0ffee",
        verdict,
        policyKeys: [policy],
        rule: "ingress[0]",
        summary: `${isDenied ? "denied" : "allowed"} by ${policy}`,
      }),
      packets: 1n,
      bytes: 60n,
      hook: FlowHook.SOCKET,
      process: create(FlowProcessSchema, {
        pid: 300 + part(),
        userName: "www-data",
        command: "nginx",
        executable: "/usr/sbin/nginx",
      }),
    });
  }
}
