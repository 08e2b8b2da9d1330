/**
 * The pinned tree: programs, maps and links of one layout under one bpffs directory. It outlives the agent; a new process
 * adopts it when it was made from the same object, and replaces the programs in place when it was not.
 */
import { createHash } from "node:crypto";
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmdirSync,
  statSync,
  unlinkSync,
} from "node:fs";
import { join } from "node:path";
import {
  attachToCgroup,
  cgroupLinkInfo,
  type LoadedObject,
  loadObject,
  lookupElement,
  openPin,
  pin,
  programInfo,
  updateElement,
  updateLink,
} from "../../linux/bpf/libbpf.ts";
import { closeInner, innerPins } from "./innerMaps.ts";
import {
  CGROUP_HOOKS,
  type CgroupHook,
  IDENTITY,
  LAYOUT_VERSION,
  MAP_NAMES,
  type MapName,
  PROGRAM_NAMES,
  type ProgramRole,
} from "./layout.ts";

const HOOKS = Object.keys(CGROUP_HOOKS) as CgroupHook[];
const ROLES = Object.keys(PROGRAM_NAMES) as ProgramRole[];

export interface TreeSettings {
  /** Directory inside a BPF file system; exists. */
  readonly directory: string;
  readonly cgroupRoot: string;
  readonly objectBytes: Uint8Array;
  /** Sizes of `wl_flows`, `wl_flow_ring` and `wl_deny_ring` when they are made. */
  readonly mapSizes: ReadonlyMap<MapName, number>;
}

export interface PinnedTree {
  readonly path: string;
  readonly maps: Readonly<Record<MapName, number>>;
  readonly programs: Readonly<Record<ProgramRole, number>>;
  readonly links: Readonly<Record<CgroupHook, number>>;
  /** How it came to be. */
  readonly origin: "created" | "adopted" | "upgraded";
}

function linkPin(hook: CgroupHook): string {
  return `link_${hook}`;
}

function treePath(settings: TreeSettings): string {
  return join(settings.directory, `layout-${LAYOUT_VERSION}`);
}

function openAll<Name extends string>(path: string, names: readonly Name[]): Record<Name, number> | null {
  const opened: [Name, number][] = [];
  for (const name of names) {
    const fd = openPin(join(path, name));
    if (fd === null) {
      for (const [, other] of opened) closeSync(other);
      return null;
    }
    opened.push([name, fd]);
  }
  return Object.fromEntries(opened) as Record<Name, number>;
}

function objectDigest(settings: TreeSettings): Buffer {
  return createHash("sha256").update(settings.objectBytes).digest();
}

function programsDigest(programs: Record<ProgramRole, number>): Buffer {
  const hash = createHash("sha256");
  for (const role of ROLES) hash.update(Buffer.from(programInfo(programs[role]).tag, "hex"));
  return hash.digest();
}

function writeIdentity(mapFd: number, settings: TreeSettings, programs: Record<ProgramRole, number>): void {
  const identity = Buffer.alloc(IDENTITY.size);
  objectDigest(settings).copy(identity, IDENTITY.objectDigest);
  programsDigest(programs).copy(identity, IDENTITY.programsDigest);
  updateElement(mapFd, Buffer.alloc(4), identity);
}

/** Whether the pinned programs are those of this agent's object, and still the ones that were recorded. */
function isOwnTree(settings: TreeSettings, identityFd: number, programs: Record<ProgramRole, number>): boolean {
  const identity = Buffer.alloc(IDENTITY.size);
  if (!lookupElement(identityFd, Buffer.alloc(4), identity)) return false;
  const digestAt = (offset: number): Buffer => identity.subarray(offset, offset + 32);
  return (
    digestAt(IDENTITY.objectDigest).equals(objectDigest(settings)) &&
    digestAt(IDENTITY.programsDigest).equals(programsDigest(programs))
  );
}

function pinAll(object: LoadedObject, path: string): void {
  for (const name of MAP_NAMES) pin(object.mapFd(name), join(path, name));
  for (const role of ROLES) pin(object.programFd(PROGRAM_NAMES[role]), join(path, PROGRAM_NAMES[role]));
}

/** Makes sure that the hook runs the pinned program on the configured cgroup; a broken or missing link is made anew. */
function ensureLink(settings: TreeSettings, path: string, hook: CgroupHook, programFd: number): number {
  const pinPath = join(path, linkPin(hook));
  const existing = openPin(pinPath);
  if (existing !== null) {
    const info = cgroupLinkInfo(existing);
    if (info.cgroupId === statSync(settings.cgroupRoot, { bigint: true }).ino) {
      if (info.programId !== programInfo(programFd).id) updateLink(existing, programFd);
      return existing;
    }
    closeSync(existing);
    unlinkSync(pinPath);
  }
  const cgroupFd = openSync(settings.cgroupRoot, "r");
  try {
    const link = attachToCgroup(programFd, cgroupFd, CGROUP_HOOKS[hook]);
    pin(link, pinPath);
    return link;
  } finally {
    closeSync(cgroupFd);
  }
}

function openTree(settings: TreeSettings, path: string, origin: PinnedTree["origin"]): PinnedTree | null {
  const maps = openAll(path, MAP_NAMES);
  if (maps === null) return null;
  const programs = openPrograms(path);
  if (programs === null) {
    for (const fd of Object.values(maps)) closeSync(fd);
    return null;
  }
  const links = Object.fromEntries(
    HOOKS.map((hook) => [hook, ensureLink(settings, path, hook, programs[hook])]),
  ) as Record<CgroupHook, number>;
  return { path, maps, programs, links, origin };
}

function openPrograms(path: string): Record<ProgramRole, number> | null {
  const byName = openAll(path, Object.values(PROGRAM_NAMES));
  if (byName === null) return null;
  return Object.fromEntries(ROLES.map((role) => [role, byName[PROGRAM_NAMES[role]]])) as Record<ProgramRole, number>;
}

/** Loads the object beside whatever is there. `initialize` runs before anything is attached. */
function createTree(settings: TreeSettings, initialize: (object: LoadedObject) => void): PinnedTree {
  const path = treePath(settings);
  const building = `${path}-new`;
  removeTree(building);
  mkdirSync(building, { mode: 0o700 });
  const object = loadObject(settings.objectBytes, { maxEntries: settings.mapSizes, reuse: new Map() });
  try {
    initialize(object);
    pinAll(object, building);
    const programs = openPrograms(building);
    if (programs === null) throw new Error("the programs that were just pinned cannot be opened");
    writeIdentity(object.mapFd("wl_identity"), settings, programs);
    for (const fd of Object.values(programs)) closeSync(fd);
    renameSync(building, path);
  } finally {
    object.close();
  }
  const tree = openTree(settings, path, "created");
  if (tree === null) throw new Error("the tree that was just pinned cannot be opened");
  return tree;
}

/** Puts this agent's programs behind the pinned links and keeps the maps: no packet sees anything but old or new. */
function upgradeTree(settings: TreeSettings, path: string, maps: Readonly<Record<MapName, number>>): void {
  const reuse = new Map<string, number>(MAP_NAMES.map((name) => [name, maps[name]]));
  const object = loadObject(settings.objectBytes, { maxEntries: new Map(), reuse });
  try {
    const programs: Partial<Record<ProgramRole, number>> = {};
    for (const role of ROLES) {
      const fd = object.programFd(PROGRAM_NAMES[role]);
      const pinPath = join(path, PROGRAM_NAMES[role]);
      if (existsSync(`${pinPath}-new`)) unlinkSync(`${pinPath}-new`);
      pin(fd, `${pinPath}-new`);
      programs[role] = fd;
    }
    for (const hook of HOOKS) {
      const link = openPin(join(path, linkPin(hook)));
      if (link === null) continue;
      updateLink(link, object.programFd(PROGRAM_NAMES[hook]));
      closeSync(link);
    }
    for (const role of ROLES) renameSync(join(path, `${PROGRAM_NAMES[role]}-new`), join(path, PROGRAM_NAMES[role]));
    writeIdentity(maps.wl_identity, settings, programs as Record<ProgramRole, number>);
  } finally {
    object.close();
  }
}

/** Adopts, upgrades or creates. Never changes a verdict of a tree that exists. */
export function openOrCreateTree(settings: TreeSettings, initialize: (object: LoadedObject) => void): PinnedTree {
  const path = treePath(settings);
  const maps = existsSync(path) ? openAll(path, MAP_NAMES) : null;
  if (maps === null) {
    // A tree that lost a map cannot be adopted. It goes on enforcing beside the new one until that has taken over.
    if (existsSync(path)) {
      removeTree(`${path}-broken`);
      renameSync(path, `${path}-broken`);
    }
    return createTree(settings, initialize);
  }
  const programs = openPrograms(path);
  const own = programs !== null && isOwnTree(settings, maps.wl_identity, programs);
  if (programs !== null) for (const fd of Object.values(programs)) closeSync(fd);
  if (!own) upgradeTree(settings, path, maps);
  for (const fd of Object.values(maps)) closeSync(fd);
  const tree = openTree(settings, path, own ? "adopted" : "upgraded");
  if (tree === null) throw new Error(`${path} changed while it was opened`);
  return tree;
}

/** Trees of other layouts: they go on enforcing until the new one has taken over. */
export function otherTrees(settings: TreeSettings): readonly string[] {
  const own = treePath(settings);
  return readdirSync(settings.directory)
    .filter((name) => name.startsWith("layout-"))
    .map((name) => join(settings.directory, name))
    .filter((path) => path !== own);
}

export function allTrees(settings: TreeSettings): readonly string[] {
  return [...otherTrees(settings), treePath(settings)];
}

/** Detaches and deletes everything, whatever its layout. */
export function removeAllTrees(settings: TreeSettings): void {
  for (const path of allTrees(settings)) removeTree(path);
}

/** Deletes every pin of a tree: links detach with the last reference. */
export function removeTree(path: string): void {
  if (!existsSync(path)) return;
  for (const name of readdirSync(path)) unlinkSync(join(path, name));
  rmdirSync(path);
}

/** Name and descriptor of everything that is pinned for the cgroups, as far as this process holds it. */
export function allPins(tree: PinnedTree): readonly (readonly [name: string, fd: number])[] {
  const { maps, programs, links } = tree;
  return [
    ...innerPins(tree),
    ...MAP_NAMES.map((name) => [name, maps[name]] as const),
    ...ROLES.map((role) => [PROGRAM_NAMES[role], programs[role]] as const),
    ...HOOKS.map((hook) => [linkPin(hook), links[hook]] as const),
  ];
}

export function closeTree(tree: PinnedTree): void {
  closeInner(tree);
  for (const group of [tree.maps, tree.programs, tree.links]) for (const fd of Object.values(group)) closeSync(fd);
}

/** All hooks run the pinned programs on a cgroup that still exists. Asked of the kernel. */
export function isAttached(tree: PinnedTree): boolean {
  return HOOKS.every((hook) => {
    const info = cgroupLinkInfo(tree.links[hook]);
    return info.cgroupId !== 0n && info.programId === programInfo(tree.programs[hook]).id;
  });
}
