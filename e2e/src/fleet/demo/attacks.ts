/** The attacks of the demo: what each does, and what is found of it. */
export interface AttackPlan {
  /** How long it goes on unless somebody ends it. */
  readonly seconds: number;
  /** Whether it has another host for its target. */
  readonly hasTarget: boolean;
  readonly does: (from: string, to: string) => string;
  readonly isFoundAs: (from: string, to: string) => string;
}

export const SCAN_PORTS = 400;
const SCAN_SECONDS = 20;
export const BEACON_EVERY_MS = 5_000;
export const LOGINS = 40;
export const UPLOAD_BYTES = 160e6;

export const ATTACKS: Readonly<Record<string, AttackPlan>> = {
  scan: {
    seconds: SCAN_SECONDS,
    hasTarget: true,
    does: (from, to) => `${from} tries ${SCAN_PORTS} TCP ports of ${to} in ${SCAN_SECONDS} seconds`,
    isFoundAs: (from) => `a port scan by ${from}`,
  },
  beacon: {
    seconds: 120,
    hasTarget: false,
    does: (from, to) =>
      `${from} asks ${to}, outside of the inventory, for a small page every ${BEACON_EVERY_MS / 1000} seconds, for two minutes`,
    isFoundAs: (from) => `a beacon of ${from}`,
  },
  exfiltration: {
    seconds: 20,
    hasTarget: false,
    does: (from, to) => `${from} sends ${UPLOAD_BYTES / 1e6} MB to ${to}, outside of the inventory, in 20 seconds`,
    isFoundAs: (from) => `exfiltration by ${from}`,
  },
  "brute-force": {
    seconds: 30,
    hasTarget: true,
    does: (from, to) => `${from} tries to log in to ${to} by SSH ${LOGINS} times, as somebody whom it does not let in`,
    isFoundAs: (from, to) => `guessing of passwords, by ${from} and on ${to}`,
  },
  lateral: {
    seconds: 15,
    hasTarget: false,
    does: (from) => `somebody logs in to ${from} by SSH, and goes on from there to all other hosts by SSH`,
    isFoundAs: (from) => `lateral movement over ${from}`,
  },
};
