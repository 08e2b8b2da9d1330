/** Addresses alone: threads and short programs start without the rest of the policy engine. */
export { cidrContainsAddress, parseAddress, parseCidr } from "../address.ts";
