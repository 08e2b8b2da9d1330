import { fromJson, type JsonValue, toJson } from "@bufbuild/protobuf";
import { RetentionSchema, SavedQuerySchema } from "@wardline/api/wardline/console/v1/history";
import { urlProblem } from "../../alerts/check-receiver.ts";
import type { ConfigurationTables } from "../../alerts/configuration-tables.ts";
import {
  fromWireRetention,
  type RetentionSettings,
  toWireRetention,
} from "../../history/service/retention-settings.ts";
import type { SavedQueriesTable } from "../../store/saved-queries-table.ts";
import { asObject, type ConfigurationPart, invalid, type PartItem, textIn } from "./part.ts";

const QUERY_NAME = /^[A-Za-z0-9][A-Za-z0-9-]{0,99}$/;
const MOST_URLS = 100;

export function savedQueriesPart(table: SavedQueriesTable): ConfigurationPart {
  const toQuery = (value: unknown) => fromJson(SavedQuerySchema, value as JsonValue);
  const toItem = (query: ReturnType<typeof toQuery>): PartItem => ({
    name: query.name,
    value: toJson(SavedQuerySchema, query),
  });
  return {
    title: "saved views",
    fileName: "saved-views.json",
    items: () => table.all().map(toItem),
    check(value) {
      const query = toQuery(value);
      if (!QUERY_NAME.test(query.name)) throw invalid("The name of a saved view has letters, digits and `-`.");
      if (query.text.length > 10_000 || query.description.length > 1_000) throw invalid("A saved view is too long.");
      return toItem(query);
    },
    write(next, before) {
      const names = new Set(next.map(({ name }) => name));
      for (const { name } of before) if (!names.has(name)) table.remove(name);
      for (const { value } of next) table.put(toQuery(value));
    },
  };
}

/** What counts for the whole console and not for one window of it. */
export function fleetSettingsPart(retention: RetentionSettings, alerts: ConfigurationTables): ConfigurationPart {
  const items = (): PartItem[] => [
    { name: "allowed URLs", value: { setting: "allowed URLs", urls: alerts.allowedUrls() } },
    {
      name: "history retention",
      value: { setting: "history retention", limits: toJson(RetentionSchema, toWireRetention(retention.limits())) },
    },
  ];
  return {
    title: "settings of the fleet",
    fileName: "settings.json",
    items,
    check(value) {
      const entry = asObject(value);
      const setting = textIn(entry, "setting");
      if (setting === "history retention") {
        const limits = fromWireRetention(fromJson(RetentionSchema, (entry.limits ?? {}) as JsonValue));
        return { name: setting, value: { setting, limits: toJson(RetentionSchema, toWireRetention(limits)) } };
      }
      if (setting === "allowed URLs" && Array.isArray(entry.urls) && entry.urls.length <= MOST_URLS) {
        const urls = entry.urls.map(String);
        const problem = urls.map((url) => urlProblem(url, true, [])).find((message) => message !== null);
        if (problem) throw invalid(problem);
        return { name: setting, value: { setting, urls } };
      }
      throw invalid(`${JSON.stringify(setting.slice(0, 80))} is not a setting of the fleet.`);
    },
    write(next) {
      for (const { name, value } of next) {
        const entry = asObject(value);
        if (name === "allowed URLs") alerts.setAllowedUrls((entry.urls as unknown[]).map(String));
        else retention.save(fromWireRetention(fromJson(RetentionSchema, entry.limits as JsonValue)));
      }
    },
  };
}
