import { expect, it } from "vitest";
import { proposePeerAddress } from "./peer-address.ts";

it.each([
  [["127.0.0.1", "192.168.1.5", "10.0.0.7"], "192.168.1.5:7443"],
  [["203.0.113.5", "fd12::7"], "[fd12::7]:7443"],
  [["203.0.113.5", "2001:db8::7"], "203.0.113.5:7443"],
  [["::1", "fe80::1", "169.254.3.4", "0.0.0.0", "239.1.1.1", "nonsense", "300.1.1.1"], null],
  [[], null],
])("proposes for %j: %s", (addresses, proposed) => {
  expect(proposePeerAddress(addresses)).toBe(proposed);
});
