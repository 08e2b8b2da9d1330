/** Healing in the fake backend: one run that waits, one that did not help, one verified, one that is only watched. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type MeshHealingStatus, MeshHealingStatusSchema } from "@wardline/api/wardline/console/v1/mesh";
import {
  HealingAction,
  HealingMode,
  HealingOutcome,
  HealingPhase,
  type HealingRun,
  HealingRunSchema,
  HealingState,
  MeshFault,
  MeshProvider,
} from "@wardline/api/wardline/v1/mesh";
import { HOSTILE_LABEL } from "./fake-mesh-topology.ts";

const MINUTE_MS = 60_000;

export function healingStatus(): MeshHealingStatus {
  return create(MeshHealingStatusSchema, {
    coordinator: "web-1",
    hostIds: ["host-web-1", "host-web-2", "host-web-3"],
    settings: {
      mode: HealingMode.SUGGEST,
      askBefore: [HealingAction.REELECT],
      hold: { seconds: 5n },
      cooldown: { seconds: 60n },
      actionsPerHour: 12,
    },
    knowledge: [
      {
        fault: MeshFault.DAEMON_DOWN,
        action: HealingAction.RESTART_DAEMON,
        tried: 14,
        healed: 13,
        medianTimeToRepair: { seconds: 9n, nanos: 400_000_000 },
      },
      { fault: MeshFault.PEER_DOWN, action: HealingAction.REPEER, tried: 6, healed: 2 },
    ],
  });
}

export function runsOf(nowMs: number, isHostile: boolean): HealingRun[] {
  const at = (agoMs: number) => timestampFromMs(nowMs - agoMs);
  const make = (run: MessageInitShape<typeof HealingRunSchema>) =>
    create(HealingRunSchema, { mode: HealingMode.SUGGEST, coordinator: "web-1", term: 7n, confidence: 0.94, ...run });
  const restart = {
    action: HealingAction.RESTART_DAEMON,
    host: "web-2",
    provider: MeshProvider.YGGDRASIL,
    blastRadius: "Every peering of web-2 is interrupted for some 4 seconds.",
    preconditions: [
      { sentence: "The service manager knows the unit yggdrasil.service.", holds: true },
      { sentence: "The console does not reach web-2 over this mesh.", holds: true },
    ],
    tried: 14,
    successRate: 13 / 14,
  };
  const addPeer = {
    action: HealingAction.ADD_PEER,
    host: "web-2",
    provider: MeshProvider.YGGDRASIL,
    peerUri: "tls://192.0.2.13:4443",
    blastRadius: "web-2 gets one more peer; nothing is interrupted.",
    preconditions: [{ sentence: "The daemon on web-2 answers.", holds: false }],
    heldBack: "the daemon does not answer",
  };
  const monitor = {
    at: at(90_000),
    phase: HealingPhase.MONITOR,
    sentence: "The daemon of web-2 does not answer any more.",
    evidence: ["admin socket: no answer within 1.5 s, 3 times", "web-1 and db-1 lost their peering with it within 2 s"],
  };
  return [
    make({
      id: "run-wait",
      fault: MeshFault.DAEMON_HUNG,
      target: "daemon/yggdrasil/web-2",
      cause: isHostile
        ? HOSTILE_LABEL
        : "The Yggdrasil daemon on web-2 runs and does not answer; that explains its two lost peers.",
      hosts: ["web-2"],
      state: HealingState.WAITING_FOR_APPROVAL,
      firstSymptomAt: at(90_000),
      detectedAt: at(88_200),
      candidates: [restart, addPeer],
      steps: [
        monitor,
        {
          at: at(88_200),
          phase: HealingPhase.ANALYSE,
          sentence: "A hung daemon explains all of it; the host itself is reached by others.",
          evidence: isHostile ? [HOSTILE_LABEL] : ["web-2 answers echoes in 0.4 ms"],
        },
        {
          at: at(88_000),
          phase: HealingPhase.PLAN,
          sentence: "Restarting the daemon helped 13 of 14 times: it is tried first.",
        },
      ],
    }),
    make({
      id: "run-lost",
      fault: MeshFault.PEER_DOWN,
      target: "link/yggdrasil/cache-1/web-3",
      cause: "cache-1 does not peer with web-3 any more although both run.",
      hosts: ["cache-1", "web-3"],
      state: HealingState.ESCALATED,
      firstSymptomAt: at(14 * MINUTE_MS),
      detectedAt: at(14 * MINUTE_MS - 2_100),
      approvedBy: "lena",
      steps: [
        {
          at: at(13 * MINUTE_MS),
          phase: HealingPhase.EXECUTE,
          action: HealingAction.REPEER,
          host: "web-3",
          outcome: HealingOutcome.DONE,
          sentence: "web-3 removed the peer and added it again.",
        },
        {
          at: at(12 * MINUTE_MS),
          phase: HealingPhase.VERIFY,
          outcome: HealingOutcome.FAILED,
          sentence: "Executed, not recovered: the peer is still down after 30 s.",
          evidence: ["getpeers: cache-1 is not listed"],
        },
      ],
    }),
    make({
      id: "run-flap",
      fault: MeshFault.LINK_FLAPPING,
      target: "link/yggdrasil/db-1/web-3",
      cause: "db-1 – web-3 went up and down 4 times in a minute.",
      hosts: ["db-1", "web-3"],
      state: HealingState.WATCHING,
      firstSymptomAt: at(4 * MINUTE_MS),
      detectedAt: at(4 * MINUTE_MS),
      candidates: [
        {
          action: HealingAction.ASK_PERSON,
          heldBack: "the link is flapping: it is left alone until it was quiet for 60 s",
        },
      ],
    }),
    make({
      id: "run-healed",
      fault: MeshFault.DAEMON_DOWN,
      target: "daemon/yggdrasil/db-1",
      cause: "The Yggdrasil daemon on db-1 had ended.",
      hosts: ["db-1"],
      state: HealingState.HEALED,
      firstSymptomAt: at(3 * 60 * MINUTE_MS),
      detectedAt: at(3 * 60 * MINUTE_MS - 1_100),
      endedAt: at(3 * 60 * MINUTE_MS - 9_400),
      timeToRepair: { seconds: 9n, nanos: 400_000_000 },
      approvedBy: "the loop",
      steps: [
        {
          at: at(3 * 60 * MINUTE_MS - 9_400),
          phase: HealingPhase.VERIFY,
          outcome: HealingOutcome.DONE,
          sentence: "All peers were up for 5 s.",
        },
      ],
    }),
  ];
}
