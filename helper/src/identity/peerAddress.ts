/** `10.0.0.1:7443` and `[fd00::1]:7443`: where a member's peer service listens. Addresses only: no name has to be looked up. */
import { isIPv4, isIPv6 } from "node:net";
import { ErrorCode, Failure } from "@wardline/domain/errors";

export interface PeerAddress {
  /** Without brackets. */
  readonly ipAddress: string;
  readonly port: number;
}

const UNUSABLE = new Set(["0.0.0.0", "::"]);

/** Throws `Failure` INVALID_ARGUMENT. */
export function parsePeerAddress(text: string): PeerAddress {
  const match = /^(?:([0-9.]{7,15})|\[([0-9a-fA-F:.]{2,45})\]):([0-9]{1,5})$/.exec(text);
  const ipAddress = match?.[1] ?? match?.[2] ?? "";
  const port = Number(match?.[3]);
  const isAddress = match?.[1] ? isIPv4(ipAddress) : isIPv6(ipAddress);
  if (!isAddress || UNUSABLE.has(ipAddress) || port < 1 || port > 65_535) {
    throw new Failure({
      code: ErrorCode.INVALID_ARGUMENT,
      message: `${JSON.stringify(text.slice(0, 80))} is no address that other members can reach.`,
      hint: "Give an address and a port: 10.0.0.1:7443 or [fd00::1]:7443.",
    });
  }
  return { ipAddress, port };
}

/** Text of the 4 or 16 bytes of an address, as certificates hold them. */
export function formatIpAddress(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join(".");
  const groups = Array.from({ length: 8 }, (_, index) =>
    (((bytes[2 * index] ?? 0) << 8) | (bytes[2 * index + 1] ?? 0)).toString(16),
  );
  return groups.join(":");
}
