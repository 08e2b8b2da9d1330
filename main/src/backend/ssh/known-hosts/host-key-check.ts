/** Judges the key that a machine shows, before anything else is said to it. */
import { create } from "@bufbuild/protobuf";
import { ShownHostKeySchema } from "@wardline/api/wardline/console/v1/fleet";
import { ErrorCode } from "@wardline/domain/errors";
import { HostKeyFailure } from "../host-key-failure.ts";
import { keyTypeName, type PublicKey, randomArtOf } from "../keys/public-key.ts";
import { describeKnown, judge, type KnownHostsPlace, type KnownMachine } from "./known-hosts.ts";

/** What ssh2 can verify, the best first. SHA-1 signatures and DSA are never taken. */
const ALGORITHMS: Record<string, readonly string[]> = {
  "ssh-ed25519": ["ssh-ed25519"],
  "ecdsa-sha2-nistp256": ["ecdsa-sha2-nistp256"],
  "ecdsa-sha2-nistp384": ["ecdsa-sha2-nistp384"],
  "ecdsa-sha2-nistp521": ["ecdsa-sha2-nistp521"],
  "ssh-rsa": ["rsa-sha2-512", "rsa-sha2-256"],
};

/** All that can be used, those of known keys first: else a machine with several keys would show one that is not known. */
export function hostKeyAlgorithms(machine: KnownMachine): string[] {
  const known = new Set(machine.keys.map(({ key }) => key.type));
  const types = Object.keys(ALGORITHMS);
  const ordered = [...types.filter((type) => known.has(type)), ...types.filter((type) => !known.has(type))];
  return ordered.flatMap((type) => ALGORITHMS[type] ?? []);
}

/** `null` when the key may be trusted. */
export function checkHostKey(machine: KnownMachine, shown: PublicKey, place: KnownHostsPlace): HostKeyFailure | null {
  const verdict = judge(machine, shown);
  const where = place.port === 22 ? place.hostName : `${place.hostName} (port ${place.port})`;
  const kind = keyTypeName(shown.type);
  switch (verdict.kind) {
    case "trusted":
      return null;
    case "unknown":
      return new HostKeyFailure(
        {
          code: ErrorCode.HOST_KEY_UNKNOWN,
          message: `${where} was never contacted from here: its ${kind} key ${shown.fingerprint} is not in known_hosts. Nothing was sent to it.`,
          hint: "Compare the fingerprint with the machine's own (ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub, at its console), then trust it.",
        },
        shownHostKey(shown, place, []),
      );
    case "revoked":
      return new HostKeyFailure(
        {
          code: ErrorCode.HOST_KEY_CHANGED,
          message: `${where} shows the ${kind} key ${shown.fingerprint}, which is revoked (${verdict.by.path}:${verdict.by.line}). Nothing was sent to it.`,
          hint: "Somebody marked this key as stolen. Give the machine a new one before anybody connects to it.",
        },
        shownHostKey(shown, place, [`revoked: ${describeKnown(verdict.by)}`]),
      );
    case "changed": {
      const known = verdict.known.map(describeKnown);
      return new HostKeyFailure(
        {
          code: ErrorCode.HOST_KEY_CHANGED,
          message: `${where} shows the ${kind} key ${shown.fingerprint}, but known is ${known.join(", ")}. It is another machine, or somebody is in between. Nothing was sent to it.`,
          hint: "When the machine was installed anew: compare the fingerprint at its console, remove the old line, then trust the new key.",
        },
        shownHostKey(shown, place, known),
      );
    }
  }
}

function shownHostKey(key: PublicKey, place: KnownHostsPlace, known: readonly string[]) {
  return create(ShownHostKeySchema, {
    address: place.hostName,
    port: place.port,
    keyType: key.type,
    fingerprint: key.fingerprint,
    randomArt: randomArtOf(key),
    known: [...known],
  });
}
