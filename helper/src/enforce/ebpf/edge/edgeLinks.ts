/**
 * The tcx links of the edge: pinned, so that they outlive the process, and held open, so that they outlive their pins. A pin
 * that somebody took away is put back.
 */
import { closeSync, existsSync, readdirSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import {
  attachTcx,
  type InterfaceDirection,
  interfaceLinkInfo,
  tcxPrograms,
} from "../../../linux/bpf/interfaceHooks.ts";
import { openPin, pin, programInfo, updateLink } from "../../../linux/bpf/libbpf.ts";

const PIN_NAMES: Readonly<Record<InterfaceDirection, string>> = { ingress: "edge", egress: "edge_out" };
const DIRECTIONS: readonly InterfaceDirection[] = ["ingress", "egress"];

function pinName(index: number, direction: InterfaceDirection): string {
  return `${PIN_NAMES[direction]}_${index}`;
}

/** Indexes of the interfaces whose links are pinned in a tree's directory. */
export function pinnedLinks(treePath: string): readonly number[] {
  if (!existsSync(treePath)) return [];
  const matches = readdirSync(treePath).map((name) => /^edge_(?:out_)?(\d+)$/.exec(name)?.[1]);
  return matches.filter((index) => index !== undefined).map(Number);
}

/** Detaches the links of an interface, unless a process holds them. */
export function unpinLinks(treePath: string, index: number): void {
  for (const direction of DIRECTIONS) {
    const path = join(treePath, pinName(index, direction));
    if (existsSync(path)) unlinkSync(path);
  }
}

export class EdgeLinks {
  readonly #treePath: string;
  /** Descriptors by the name of the pin. */
  readonly #held = new Map<string, number>();

  constructor(treePath: string) {
    this.#treePath = treePath;
  }

  /** Makes sure that the interface runs the program. False when this kernel has no tcx. */
  ensure(index: number, direction: InterfaceDirection, programFd: number): boolean {
    const name = pinName(index, direction);
    const path = join(this.#treePath, name);
    const existing = this.#held.get(name) ?? openPin(path);
    if (existing !== null) {
      this.#held.set(name, existing);
      if (adopt(existing, index, direction, programFd)) {
        this.#keepPin(existing, path);
        return true;
      }
      this.#drop(name);
    }
    const link = attachTcx(programFd, index, direction);
    if (link === null) return false;
    this.#held.set(name, link);
    this.#keepPin(link, path);
    return true;
  }

  /** Without the directory there is nothing to pin in: whoever puts that back comes first. */
  #keepPin(link: number, path: string): void {
    if (!existsSync(path) && existsSync(this.#treePath)) pin(link, path);
  }

  #drop(name: string): void {
    const held = this.#held.get(name);
    if (held !== undefined) closeSync(held);
    this.#held.delete(name);
    const path = join(this.#treePath, name);
    if (existsSync(path)) unlinkSync(path);
  }

  remove(index: number): void {
    for (const direction of DIRECTIONS) this.#drop(pinName(index, direction));
  }

  /** Indexes of the interfaces that have a link here. */
  indexes(): readonly number[] {
    const held = [...this.#held.keys()].map((name) => Number(/\d+$/.exec(name)?.[0]));
    return [...held, ...pinnedLinks(this.#treePath)];
  }

  /** Ends this process' hold; what is pinned goes on. */
  close(): void {
    for (const link of this.#held.values()) closeSync(link);
    this.#held.clear();
  }
}

/** False when the link does not run on this interface any more. Puts the wanted program behind it otherwise. */
function adopt(link: number, index: number, direction: InterfaceDirection, programFd: number): boolean {
  const { interfaceIndex, programId } = interfaceLinkInfo(link);
  // A pin from another network namespace may have the same interface index: the kernel knows what runs here.
  if (interfaceIndex !== index || !tcxPrograms(index, direction).includes(programId)) return false;
  if (programId !== programInfo(programFd).id) updateLink(link, programFd);
  return true;
}
