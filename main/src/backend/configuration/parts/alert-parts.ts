import { fromJson, type JsonValue, toJson } from "@bufbuild/protobuf";
import { AlertRuleSchema, ReceiverSchema } from "@wardline/api/wardline/console/v1/alerts";
import type { RuleProblem } from "@wardline/domain/alerts";
import type { AlertServiceImpl } from "../../alerts/alert-service.ts";
import { fromWireReceiver, fromWireRule, toWireReceiver, toWireRule } from "../../alerts/alert-wire.ts";
import { receiverProblems } from "../../alerts/check-receiver.ts";
import type { ConfigurationTables } from "../../alerts/configuration-tables.ts";
import { destinationOf, type KeptReceiver } from "../../alerts/receivers.ts";
import type { ReceiverSecrets } from "../../alerts/secrets.ts";
import { type ConfigurationPart, invalid, type PartItem } from "./part.ts";

export interface AlertPartPorts {
  readonly tables: ConfigurationTables;
  readonly secrets: ReceiverSecrets;
  readonly service: Pick<AlertServiceImpl, "ruleProblems">;
}

/** Written last, because a secret that was forgotten does not come back with the transaction. */
export function receiversPart({ tables, secrets }: AlertPartPorts): ConfigurationPart {
  const toItem = (receiver: KeptReceiver): PartItem => ({
    name: receiver.name,
    value: toJson(ReceiverSchema, toWireReceiver(receiver, "", null)),
  });
  const toReceiver = ({ value }: { readonly value: unknown }) =>
    fromWireReceiver(fromJson(ReceiverSchema, value as JsonValue)).receiver;
  /** A secret goes to nobody it was not given for. */
  const losesSecret = (receiver: KeptReceiver) => {
    const before = tables.receiver(receiver.name);
    return (
      before !== null && secrets.placeOf(receiver.name) !== "" && destinationOf(before) !== destinationOf(receiver)
    );
  };
  return {
    title: "alert receivers",
    fileName: "alert-receivers.json",
    items: () => tables.receivers().map(toItem),
    check: (value) => {
      const receiver = toReceiver({ value });
      requireNone(receiverProblems(receiver, []), receiver.name);
      return toItem(receiver);
    },
    write(next, before) {
      const receivers = next.map(toReceiver);
      const names = new Set(receivers.map(({ name }) => name));
      for (const rule of tables.rules()) {
        const unknown = rule.steps.flatMap((step) => step.receivers).find((name) => !names.has(name));
        if (unknown !== undefined)
          throw invalid(`The rule "${rule.name}" tells "${unknown}", which would not be there.`);
      }
      for (const receiver of receivers) {
        requireNone(receiverProblems(receiver, tables.allowedUrls()), receiver.name);
      }
      const gone = before.filter(({ name }) => !names.has(name)).map(({ name }) => name);
      const moved = receivers.filter(losesSecret).map(({ name }) => name);
      for (const name of gone) tables.deleteReceiver(name);
      for (const receiver of receivers) tables.putReceiver(receiver);
      for (const name of [...gone, ...moved]) secrets.forget(name);
    },
    leftToDo: (next) =>
      next.map(toReceiver).flatMap((receiver) => {
        const mayNeed = receiver.kind === "webhook" || (receiver.kind === "email" && receiver.user !== "");
        const hasIt = tables.receiver(receiver.name) !== null && secrets.placeOf(receiver.name) !== "";
        if (!mayNeed || (hasIt && !losesSecret(receiver))) return [];
        return [
          `Give the receiver "${receiver.name}" its ${receiver.kind === "email" ? "password" : "secret"} again, if it has one.`,
        ];
      }),
  };
}

export function rulesPart({ tables, service }: AlertPartPorts): ConfigurationPart {
  const toRule = ({ value }: { readonly value: unknown }) =>
    fromWireRule(fromJson(AlertRuleSchema, value as JsonValue));
  const toItem = (rule: ReturnType<typeof toRule>): PartItem => ({
    name: rule.name,
    value: toJson(AlertRuleSchema, toWireRule(rule)),
  });
  return {
    title: "alert rules",
    fileName: "alert-rules.json",
    items: () => tables.rules().map(toItem),
    check: (value) => toItem(toRule({ value })),
    write(next, before) {
      const rules = next.map(toRule);
      // Whether the receivers are there is known once they are written.
      const named = new Set(rules.flatMap(({ steps }) => steps.flatMap(({ receivers }) => receivers)));
      for (const rule of rules) requireNone(service.ruleProblems(rule, named), rule.name);
      // Their order counts, and they keep it only when they are written anew.
      for (const { name } of before) tables.deleteRule(name);
      for (const rule of rules) tables.putRule(rule);
    },
  };
}

function requireNone(problems: readonly RuleProblem[], name: string): void {
  const [first] = problems;
  if (first) throw invalid(`${JSON.stringify(name.slice(0, 80))}: ${first.path.join(".")}: ${first.message}`);
}
