import { describe, expect, it } from "vitest";
import { findCgroup2Mount, parseMountInfo } from "./mounts.ts";

const HYBRID = `25 1 253:0 / / rw,relatime - ext4 /dev/vda rw
30 25 0:26 / /sys/fs/cgroup rw,nosuid - tmpfs tmpfs ro,mode=755
31 30 0:27 / /sys/fs/cgroup/unified rw,relatime shared:5 - cgroup2 cgroup2 rw
32 30 0:28 / /mnt/two\\040words rw - bpf bpf rw,mode=700
garbage line`;

describe("mountinfo", () => {
  it("finds cgroup2 where a hybrid host has it", () => {
    expect(findCgroup2Mount(parseMountInfo(HYBRID))).toBe("/sys/fs/cgroup/unified");
  });

  it("reads escapes, optional fields, and past lines it does not know", () => {
    expect(parseMountInfo(HYBRID).map((mount) => `${mount.fileSystem} ${mount.mountPoint}`)).toEqual([
      "ext4 /",
      "tmpfs /sys/fs/cgroup",
      "cgroup2 /sys/fs/cgroup/unified",
      "bpf /mnt/two words",
    ]);
  });

  it("says when there is none", () => {
    expect(findCgroup2Mount(parseMountInfo("25 1 253:0 / / rw - ext4 /dev/vda rw"))).toBeNull();
  });
});
