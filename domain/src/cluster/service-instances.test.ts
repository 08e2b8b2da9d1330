import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { HealthCheckKind, ServiceInstanceSchema } from "@wardline/api/wardline/v1/cluster";
import { describe, expect, it } from "vitest";
import { ErrorCode, type Failure } from "../errors/index.ts";
import { isSameService, normalizeService, unusableAddressReason } from "./index.ts";

type Fields = MessageInitShape<typeof ServiceInstanceSchema>;

const instance = (fields: Fields = {}) =>
  create(ServiceInstanceSchema, { service: "db", address: "10.0.0.5", port: 5432, ...fields });

function refusal(fields: Fields): string {
  try {
    normalizeService(instance(fields));
  } catch (error) {
    expect((error as Failure).code).toBe(ErrorCode.INVALID_ARGUMENT);
    return (error as Failure).message;
  }
  return "accepted";
}

describe("a service that is registered", () => {
  it("gets what it left out, and one form of its address", () => {
    expect(normalizeService(instance({ address: "::ffff:10.0.0.5" }))).toMatchObject({
      namespace: "default",
      instance: "10.0.0.5",
      address: "10.0.0.5",
      check: HealthCheckKind.NONE,
    });
    const six = normalizeService(instance({ address: "FD00:0::5", instance: "fd00::0:5" }));
    expect(six).toMatchObject({ address: "fd00::5", instance: "fd00::5" });
  });

  it("is left as the caller has it", () => {
    const wanted = instance();
    normalizeService(wanted);
    expect(wanted.namespace).toBe("");
  });

  it.each<[string, Fields]>([
    ["a path for a name", { service: "../../election/leader" }],
    ["no name", { service: "" }],
    ["upper case", { namespace: "Shop" }],
    ["a long name", { service: "a".repeat(64) }],
    ["an instance with a slash", { instance: "a/b" }],
    ["another address as the instance", { instance: "10.0.0.6" }],
    ["no address", { address: "" }],
    ["a host name for an address", { address: "db.example.org" }],
    ["a prefix", { address: "10.0.0.0/8" }],
    ["loopback", { address: "127.0.0.1" }],
    ["loopback as IPv6", { address: "::1" }],
    ["loopback mapped", { address: "::ffff:127.0.0.1" }],
    ["the metadata of a cloud", { address: "169.254.169.254" }],
    ["the metadata of a cloud, mapped", { address: "::ffff:a9fe:a9fe" }],
    ["the metadata of a cloud, translated", { address: "64:ff9b::a9fe:a9fe" }],
    ["the metadata of a cloud, by 6to4", { address: "2002:a9fe:a9fe::1" }],
    ["link-local", { address: "fe80::1" }],
    ["multicast", { address: "ff02::1" }],
    ["broadcast", { address: "255.255.255.255" }],
    ["a port that is none", { port: 65_536 }],
    ["a check without a port", { port: 0, check: HealthCheckKind.TCP }],
    ["a check that nobody knows", { check: 9 as HealthCheckKind }],
    ["a check every millisecond", { check: HealthCheckKind.TCP, checkInterval: durationFromMs(1) }],
    ["a time to live of nothing", { timeToLive: durationFromMs(0) }],
    ["a time to live of a year", { timeToLive: durationFromMs(365 * 86_400_000) }],
    ["a label with a space", { labels: { "app name": "web" } }],
    ["a label value with a line", { labels: { app: "web\nadmin" } }],
    ["a label with two slashes", { labels: { "wardline.io/quarantined-as/Host": "true" } }],
    ["a label of our own", { labels: { "wardline.io/names": "own" } }],
    ["65 labels", { labels: Object.fromEntries(Array.from({ length: 65 }, (_, at) => [`l${at}`, ""])) }],
  ])("is refused with %s", (_, fields) => {
    expect(refusal(fields)).not.toBe("accepted");
  });

  it("says why in words that can be printed", () => {
    expect(refusal({ service: "a\u001b[31m\u0000" })).toBe('The service "a?[31m?" is not a DNS label.');
    expect(refusal({ address: "169.254.169.254" })).toContain("where clouds keep the secrets of a machine");
  });

  it("is the same when only who, when and health differ", () => {
    const one = instance({ labels: { a: "1", b: "2" }, registeredBy: "x", healthDetail: "y" });
    expect(isSameService(one, instance({ labels: { b: "2", a: "1" } }))).toBe(true);
    expect(isSameService(one, instance({ labels: { a: "1" } }))).toBe(false);
    expect(isSameService(one, instance({ labels: { a: "1", b: "2" }, port: 1 }))).toBe(false);
  });
});

describe("unusable addresses", () => {
  it.each(["10.0.0.1", "192.168.1.1", "203.0.113.9", "fd00::1", "2001:db8::1", "200::1", "64:ff9b::a00:1"])(
    "are not %s",
    (address) => expect(unusableAddressReason(address)).toBeNull(),
  );
});
