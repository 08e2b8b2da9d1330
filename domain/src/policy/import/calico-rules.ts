/** Rules of Calico policies (libcalico-go `lib/apis/v3`, Rule and EntityRule). */
import { cidrContains, cidrsOverlap, parseCidr } from "../address.ts";
import { readCidr } from "../formats/addresses.ts";
import { type Located, ObjectReader, readChoice, readList } from "../formats/object-reader.ts";
import type { Cidr, Direction, Peer, PolicyRule, SourceRange } from "../model.ts";
import type { Reporter } from "../yaml/reporter.ts";
import { readCalicoPorts } from "./calico-ports.ts";
import { readCalicoSelectors } from "./calico-selectors.ts";
import { given, refuseFields, refuseValue, saysNothing } from "./refuse.ts";
import { CALICO_PEER, CALICO_RULES } from "./shapes.ts";

const ACTIONS = ["Allow", "Deny", "Pass", "Log"] as const;

const REFUSED = {
  notProtocol: "every protocol but one has no equal",
  notICMP: "every type but one has no equal",
  http: "what is said inside a connection is not looked at",
};

const REFUSED_OF_PEER = {
  notSelector: "everybody but those with a label, strangers included, has no equal",
  serviceAccounts: "accounts of Kubernetes are not known here",
  services: "the addresses behind a service of Kubernetes are not known here",
};

export interface CalicoContext {
  readonly direction: Direction;
  /** Namespace of the policy; `null` for global ones. */
  readonly namespace: string | null;
  /** Whether the rules come before the Kubernetes policies, so that denials have their place. */
  readonly mayDeny: boolean;
}

export function readCalicoRules(report: Reporter, list: Located | null, context: CalicoContext): readonly PolicyRule[] {
  const entries = list && !saysNothing(list) ? (readList(report, list) ?? []) : [];
  return entries.flatMap((entry, index) => readRule(report, entry, context, index) ?? []);
}

function readRule(report: Reporter, value: Located, context: CalicoContext, index: number): PolicyRule | null {
  const { fields, ignored } = CALICO_RULES[context.direction].known;
  const rule = ObjectReader.open(report, value, { fields: [...fields, ...Object.keys(REFUSED)], ignored });
  if (!rule) return null;
  const actionField = rule.require("action");
  const action = actionField && readChoice(report, actionField, ACTIONS);
  refuseFields(rule, REFUSED);
  const { direction } = context;
  const source = readEnd(report, rule, "source");
  const destination = readEnd(report, rule, "destination");
  const [remote, own] = direction === "ingress" ? [source, destination] : [destination, source];
  refuseOwnEnd(own, direction);
  if (source) refusePortsOfSource(source);
  const ports = readCalicoPorts(report, rule, destination);
  const peers = readPeers(report, rule, remote, context.namespace);
  if (action === null || !actionField) return null;
  if (action === "Log") {
    report.report("WL256", actionField.node, `${value.path} only logs, which decides nothing.`);
    return null;
  }
  if (action === "Pass") {
    return refuseValue(
      report,
      { ...actionField, anchor: actionField.node },
      "what follows the last tier is the profile of the endpoint, which this document does not show",
    );
  }
  if (action === "Deny" && !context.mayDeny) {
    const message = `${value.path} denies after the Kubernetes policies (order 1000), which are final here. Give the policy an order below 1000.`;
    report.report("WL255", actionField.node, message);
    return null;
  }
  const verdict = action === "Allow" ? "allow" : "deny";
  return { direction, index, name: null, action: verdict, peers, ports, source: report.range(rule.node) };
}

function readEnd(report: Reporter, rule: ObjectReader, name: "source" | "destination"): ObjectReader | null {
  const field = given(rule, name);
  const fields = [...CALICO_PEER.known.fields, ...Object.keys(REFUSED_OF_PEER)];
  const end = field && ObjectReader.open(report, field, { fields });
  if (end) refuseFields(end, REFUSED_OF_PEER);
  return end;
}

/** Who the policy is for is said by its selectors; a rule cannot narrow that further. */
function refuseOwnEnd(own: ObjectReader | null, direction: Direction): void {
  if (!own) return;
  const reason = `a rule for ${direction} cannot say more about the end that the policy is for`;
  refuseFields(own, { nets: reason, notNets: reason, selector: reason, namespaceSelector: reason });
}

function refusePortsOfSource(source: ObjectReader): void {
  const reason = "the port that a connection comes from is not looked at";
  refuseFields(source, { ports: reason, notPorts: reason });
}

/** `null` = anybody. */
function readPeers(
  report: Reporter,
  rule: ObjectReader,
  remote: ObjectReader | null,
  namespace: string | null,
): readonly Peer[] | null {
  const family = readFamily(report, rule);
  const nets = remote && given(remote, "nets");
  const notNets = remote && given(remote, "notNets");
  const selector = remote && (given(remote, "selector") ?? given(remote, "namespaceSelector"));
  if (remote && selector) {
    for (const field of [nets, notNets]) {
      if (field) refuseValue(report, field, "a block and a selector that both have to match have no equal");
    }
    const ipVersion = given(rule, "ipVersion");
    if (ipVersion) refuseValue(report, ipVersion, "one version of IP only, together with a selector, has no equal");
    const chosen = readCalicoSelectors(report, remote, namespace);
    return chosen ? [{ kind: "endpoints", selector: chosen, source: report.range(selector.node) }] : [];
  }
  const excluded = notNets ? readNets(report, notNets).map(({ cidr }) => cidr) : [];
  const source = report.range((nets ?? notNets)?.node ?? rule.node);
  if (!nets && !notNets && family === null) return null;
  const wanted = nets ? readNets(report, nets) : WHOLE.map((cidr) => ({ cidr, source }));
  return wanted
    .filter(({ cidr }) => family === null || cidr.family === family)
    .flatMap(({ cidr, source: place }) => subtract(cidr, excluded, place));
}

const WHOLE: readonly Cidr[] = ["0.0.0.0/0", "::/0"].flatMap((text) => {
  const parsed = parseCidr(text);
  return parsed.ok ? [parsed.cidr] : [];
});

function readFamily(report: Reporter, rule: ObjectReader): 4 | 6 | null {
  const field = given(rule, "ipVersion");
  if (!field) return null;
  const text = field.node.kind === "scalar" ? String(field.node.value) : "";
  if (text === "4" || text === "6") return text === "4" ? 4 : 6;
  report.report("WL206", field.node, `${field.path} is 4 or 6.`);
  return null;
}

function readNets(report: Reporter, field: Located): readonly { readonly cidr: Cidr; readonly source: SourceRange }[] {
  return (readList(report, field) ?? []).flatMap((entry) => {
    const cidr = readCidr(report, entry);
    return cidr ? [{ cidr, source: report.range(entry.node) }] : [];
  });
}

/** Nothing when all of the block is taken out. */
function subtract(cidr: Cidr, excluded: readonly Cidr[], source: SourceRange): readonly Peer[] {
  if (excluded.some((other) => cidrContains(other, cidr))) return [];
  return [{ kind: "addresses", cidr, except: excluded.filter((other) => cidrsOverlap(cidr, other)), source }];
}
