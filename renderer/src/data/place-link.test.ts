import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseRoute } from "../app/use-route.ts";
import { flowQueryOf, hashOf, linkOf, type Place, placeOf } from "./place-link.ts";
import { useWindow, VIEWS } from "./window-store.ts";

const state = (change: object) => ({ ...useWindow.getInitialState(), ...change });

describe("links to a place", () => {
  it("are read as the place that they were made of", () => {
    const version = fc.oneof(
      fc.integer({ min: 1, max: 999_999_999 }).map(String),
      fc.string({ unit: fc.constantFrom(..."0123456789abcdef"), minLength: 12, maxLength: 64 }),
    );
    fc.assert(
      fc.property(
        fc.constantFrom(...VIEWS),
        fc.option(fc.string({ minLength: 1, maxLength: 60, unit: "grapheme" })),
        fc.option(fc.oneof(fc.record({ line: fc.integer({ min: 1, max: 9_999_999 }) }), fc.record({ version }))),
        (view, argument, more) => {
          const place: Place = { view, argument, ...more };
          expect(parseRoute(hashOf(place))).toEqual({ line: null, version: null, ...place });
          expect(linkOf(place)).toBe(hashOf(place).replace("#/", "wardline://"));
        },
      ),
    );
  });

  it("name what the window shows: a file, a version over it, a flow by its ends, a question", () => {
    expect(linkOf(placeOf(state({ view: "policies", filePath: "a b/web.yaml" })))).toBe(
      "wardline://policies/a%20b%2Fweb.yaml",
    );
    const versionPlace = { version: "7", path: "web.yaml" };
    expect(linkOf(placeOf(state({ view: "audit", overlay: "version", versionPlace })))).toBe(
      "wardline://policies/web.yaml?version=7",
    );
    const flow = { sourceAddress: "10.0.0.1", destinationAddress: "2001:db8::1", destinationPort: 443 };
    expect(placeOf(state({ view: "flows" }), flow).argument).toBe("src:10.0.0.1 dst:2001:db8::1 port:443");
    expect(flowQueryOf({ ...flow, destinationPort: 0 })).toBe("src:10.0.0.1 dst:2001:db8::1");
    expect(linkOf(placeOf(state({ view: "flows", flowText: "verdict:denied" })))).toBe(
      "wardline://flows/verdict%3Adenied",
    );
    expect(linkOf(placeOf(state({ view: "hosts", hostId: "web-1" })))).toBe("wardline://hosts/web-1");
    expect(linkOf(placeOf(state({ view: "settings", hostId: "web-1" })))).toBe("wardline://settings");
  });
});
