/** What a service may be registered as. */
import { clone } from "@bufbuild/protobuf";
import { type Duration, durationMs } from "@bufbuild/protobuf/wkt";
import { HealthCheckKind, type ServiceInstance, ServiceInstanceSchema } from "@wardline/api/wardline/v1/cluster";
import { ErrorCode, Failure } from "../errors/index.ts";
import { canonicalAddress, isDnsLabel, labelProblem } from "../policy/index.ts";
import { unusableAddressReason } from "./usable-addresses.ts";

export const SERVICE_LIMITS = {
  instances: 10_000,
  instancesPerService: 100,
  labels: 64,
  shortestCheckIntervalMs: 1_000,
  longestCheckIntervalMs: 3_600_000,
  usualCheckIntervalMs: 10_000,
  shortestTimeToLiveMs: 5_000,
  longestTimeToLiveMs: 7 * 86_400_000,
} as const;

export const USUAL_NAMESPACE = "default";

/**
 * The instance as it is kept: namespace and instance filled in, the address canonical, an interval only with a check. What
 * only the registry knows (who, when, health) is left as it is. Throws `Failure` INVALID_ARGUMENT.
 */
export function normalizeService(wanted: ServiceInstance): ServiceInstance {
  const service = clone(ServiceInstanceSchema, wanted);
  service.namespace ||= USUAL_NAMESPACE;
  checkName("namespace", service.namespace);
  checkName("service", service.service);
  const address = canonicalAddress(service.address);
  const reason = unusableAddressReason(service.address);
  if (address === null || reason !== null) {
    throw invalid(`"${shown(service.address)}" cannot be the address of a service: it is ${reason}.`);
  }
  service.address = address;
  if (service.instance === "" || canonicalAddress(service.instance) === address) service.instance = address;
  if (service.instance !== address && !isDnsLabel(service.instance)) {
    throw invalid(`The instance "${shown(service.instance)}" is neither a DNS label nor its own address.`, DNS_LABEL);
  }
  checkLabels(service.labels);
  checkPort(service);
  checkTimes(service);
  return service;
}

const DNS_LABEL =
  "A DNS label has lower-case letters, digits and hyphens, at most 63, and a letter or digit at both ends.";

function checkName(what: string, name: string): void {
  if (!isDnsLabel(name)) throw invalid(`The ${what} "${shown(name)}" is not a DNS label.`, DNS_LABEL);
}

function checkLabels(labels: Readonly<Record<string, string>>): void {
  const entries = Object.entries(labels);
  if (entries.length > SERVICE_LIMITS.labels) {
    throw invalid(`A service can have ${SERVICE_LIMITS.labels} labels, not ${entries.length}.`);
  }
  for (const [key, value] of entries) {
    const problem = labelProblem(key, value);
    if (problem !== null) throw invalid(problem);
    if (key.split("/")[0]?.split(".").slice(-2).join(".") === "wardline.io" && key.includes("/")) {
      throw invalid(`The label ${key} is Wardline's own.`, "Use a prefix of your own, or none.");
    }
  }
}

function checkPort({ port, check }: ServiceInstance): void {
  if (port > 65_535) throw invalid(`${port} is not a port.`);
  if (check === HealthCheckKind.TCP && port === 0) {
    throw invalid("A TCP check needs a port.", "Give the port that the service listens on.");
  }
  if (check !== HealthCheckKind.TCP && check !== HealthCheckKind.NONE && check !== HealthCheckKind.UNSPECIFIED) {
    throw invalid(`This version knows no health check of kind ${check}.`);
  }
}

function checkTimes(service: ServiceInstance): void {
  if (service.check === HealthCheckKind.TCP) {
    const { shortestCheckIntervalMs, longestCheckIntervalMs } = SERVICE_LIMITS;
    checkDuration("interval of checks", service.checkInterval, shortestCheckIntervalMs, longestCheckIntervalMs);
  } else {
    service.check = HealthCheckKind.NONE;
    delete service.checkInterval;
  }
  const { shortestTimeToLiveMs, longestTimeToLiveMs } = SERVICE_LIMITS;
  checkDuration("time to live", service.timeToLive, shortestTimeToLiveMs, longestTimeToLiveMs);
}

function checkDuration(what: string, duration: Duration | undefined, shortestMs: number, longestMs: number): void {
  if (duration === undefined) return;
  const ms = durationMs(duration);
  if (ms >= shortestMs && ms <= longestMs) return;
  throw invalid(`The ${what} must be between ${shortestMs / 1000} and ${longestMs / 1000} seconds.`);
}

/** Whether both say the same about where the service is and what it is called; who, when and health aside. */
export function isSameService(one: ServiceInstance, other: ServiceInstance): boolean {
  return contentOf(one) === contentOf(other);
}

function contentOf({ address, port, labels, check, checkInterval, timeToLive }: ServiceInstance): string {
  const times = [checkInterval, timeToLive].map((duration) => (duration === undefined ? null : durationMs(duration)));
  return JSON.stringify([address, port, check, times, Object.entries(labels).sort()]);
}

function shown(text: string): string {
  return text.slice(0, 80).replace(/[^\x20-\x7e]/g, "?");
}

function invalid(message: string, hint = ""): Failure {
  return new Failure({ code: ErrorCode.INVALID_ARGUMENT, message, hint });
}
