import { describe, expect, it } from "vitest";
import { createCgroupMatcher, resolveUserId } from "./cgroups.ts";

const ID = "4f1c0ffee0ddf00d4f1c0ffee0ddf00d4f1c0ffee0ddf00d4f1c0ffee0ddf00d";

describe("matching cgroups", () => {
  it("finds a unit by its directory name, at any depth and only whole", () => {
    const matches = createCgroupMatcher({ kind: "systemdUnit", unit: "web.service" });
    expect(matches("/system.slice/web.service")).toBe(true);
    expect(matches("/user.slice/user-1000.slice/user@1000.service/app.slice/web.service")).toBe(true);
    expect(matches("/system.slice/my-web.service")).toBe(false);
    expect(matches("/system.slice/web.service/inner")).toBe(false);
  });

  it("finds a container by its full or short id, as every engine names it", () => {
    const matches = createCgroupMatcher({ kind: "container", id: ID.slice(0, 12) });
    for (const name of [`docker-${ID}.scope`, `cri-containerd-${ID}.scope`, `libpod-${ID}.scope`, ID])
      expect(matches(`/system.slice/${name}`), name).toBe(true);
    expect(matches("/system.slice/docker-0000000000001234.scope")).toBe(false);
    expect(createCgroupMatcher({ kind: "container", id: "4f1c" })(`/docker-${ID}.scope`)).toBe(false);
  });

  it("compares paths without regard to outer slashes", () => {
    expect(createCgroupMatcher({ kind: "cgroupPath", path: "apps/web/" })("/apps/web")).toBe(true);
    expect(createCgroupMatcher({ kind: "cgroupPath", path: "/apps" })("/apps/web")).toBe(false);
  });

  it("finds a user's slice by number", () => {
    const matches = createCgroupMatcher({ kind: "user", user: "1000" });
    expect(matches("/user.slice/user-1000.slice")).toBe(true);
    expect(matches("/user.slice/user-10.slice")).toBe(false);
  });

  it("resolves login names from the password file", () => {
    const passwd = "root:x:0:0::/root:/bin/sh\nada:x:1001:1001::/home/ada:/bin/sh\n";
    expect(resolveUserId("ada", passwd)).toBe(1001);
    expect(resolveUserId("77", passwd)).toBe(77);
    expect(resolveUserId("eve", passwd)).toBeNull();
  });
});
