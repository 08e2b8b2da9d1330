import { describe, expect, it } from "vitest";
import { endpointMatches, formatSelector, namespaceMatches, selectorMatches } from "./labels.ts";
import type { LabelRequirement, Namespace } from "./model.ts";

const labels = new Map([
  ["app", "web"],
  ["tier", "front"],
]);

function need(key: string, operator: LabelRequirement["operator"], ...values: string[]): LabelRequirement {
  return { key, operator, values };
}

describe("selectorMatches", () => {
  it.each([
    ["nothing required", [], true],
    ["In with the value", [need("app", "In", "api", "web")], true],
    ["In with another value", [need("app", "In", "api")], false],
    ["In without the key", [need("zone", "In", "a")], false],
    ["NotIn with the value", [need("app", "NotIn", "web")], false],
    ["NotIn with another value", [need("app", "NotIn", "api")], true],
    ["NotIn without the key", [need("zone", "NotIn", "a")], true],
    ["Exists", [need("tier", "Exists")], true],
    ["Exists without the key", [need("zone", "Exists")], false],
    ["DoesNotExist", [need("tier", "DoesNotExist")], false],
    ["DoesNotExist without the key", [need("zone", "DoesNotExist")], true],
    ["all must hold", [need("app", "In", "web"), need("tier", "In", "back")], false],
  ] as const)("%s", (_name, requirements, matches) => {
    expect(selectorMatches({ requirements }, labels)).toBe(matches);
  });
});

describe("namespaceMatches", () => {
  const namespaces = new Map<string, Namespace>([
    [
      "prod",
      {
        name: "prod",
        labels: new Map([
          ["kubernetes.io/metadata.name", "prod"],
          ["stage", "live"],
        ]),
      },
    ],
  ]);
  const selecting = (key: string, value: string) =>
    ({ kind: "selector", selector: { requirements: [need(key, "In", value)] } }) as const;

  it("knows any, one name and a selector", () => {
    expect(namespaceMatches({ kind: "any" }, "prod", namespaces)).toBe(true);
    expect(namespaceMatches({ kind: "name", name: "prod" }, "prod", namespaces)).toBe(true);
    expect(namespaceMatches({ kind: "name", name: "prod" }, "test", namespaces)).toBe(false);
    expect(namespaceMatches(selecting("stage", "live"), "prod", namespaces)).toBe(true);
    expect(namespaceMatches(selecting("stage", "live"), "test", namespaces)).toBe(false);
  });

  it("gives a namespace that nobody declares its implied label", () => {
    expect(namespaceMatches(selecting("kubernetes.io/metadata.name", "test"), "test", namespaces)).toBe(true);
  });

  it("both parts of an endpoint selector must match", () => {
    const selector = {
      namespaces: { kind: "name", name: "prod" },
      endpoints: { requirements: [need("app", "Exists")] },
    } as const;
    expect(endpointMatches(selector, { kind: "host", namespace: "prod", labels }, namespaces)).toBe(true);
    expect(endpointMatches(selector, { kind: "host", namespace: "test", labels }, namespaces)).toBe(false);
    expect(endpointMatches(selector, { kind: "host", namespace: "prod", labels: new Map() }, namespaces)).toBe(false);
  });
});

describe("formatSelector", () => {
  it("writes what people write", () => {
    expect(formatSelector({ requirements: [] })).toBe("everything");
    expect(
      formatSelector({
        requirements: [
          need("app", "In", "web"),
          need("tier", "In", "a", "b"),
          need("env", "NotIn", "test"),
          need("zone", "NotIn", "a", "b"),
          need("managed", "Exists"),
          need("legacy", "DoesNotExist"),
        ],
      }),
    ).toBe("app=web, tier in (a, b), env!=test, zone not in (a, b), managed, !legacy");
  });
});
