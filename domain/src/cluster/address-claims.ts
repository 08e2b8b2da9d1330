/** Members say themselves which addresses they have: whose an address is when several say so. */
import type { RefusedAddress } from "./discovered-endpoints.ts";

export interface AddressClaim {
  readonly member: string;
  /** Canonical. */
  readonly addresses: readonly string[];
  /** Heard from; a member that is gone yields to one that is there. */
  readonly isLive: boolean;
  /** Unix time; decides where nobody held the address before. */
  readonly admittedAtMs: number;
}

export interface SettledClaims {
  /** Member by address. */
  readonly holders: ReadonlyMap<string, string>;
  /** By address, then by member. */
  readonly refused: readonly RefusedAddress[];
}

/**
 * An address stays with the member that held it for as long as that one claims it, so that nobody takes it away by saying
 * that it is theirs. Without such a holder the live one counts, then the one that was admitted first, then the name.
 *
 * `before`: the holders of the last time.
 */
export function settleClaims(claims: readonly AddressClaim[], before: ReadonlyMap<string, string>): SettledClaims {
  const byAddress = new Map<string, AddressClaim[]>();
  for (const claim of claims) {
    for (const address of new Set(claim.addresses)) {
      const list = byAddress.get(address);
      if (list) list.push(claim);
      else byAddress.set(address, [claim]);
    }
  }
  const holders = new Map<string, string>();
  const refused: RefusedAddress[] = [];
  for (const [address, claiming] of byAddress) {
    const [holder, ...others] = claiming.toSorted(byRight(before.get(address)));
    if (holder === undefined) continue;
    holders.set(address, holder.member);
    for (const { member } of others) refused.push({ address, member, holder: holder.member });
  }
  refused.sort((left, right) => compareTexts(left.address, right.address) || compareTexts(left.member, right.member));
  return { holders, refused };
}

function byRight(holder: string | undefined) {
  return (left: AddressClaim, right: AddressClaim): number =>
    Number(right.isLive) - Number(left.isLive) ||
    Number(right.member === holder) - Number(left.member === holder) ||
    left.admittedAtMs - right.admittedAtMs ||
    compareTexts(left.member, right.member);
}

function compareTexts(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}
