/** A person without a mouse: keys, and what the window shows. Nothing here can click, fill a field or move the focus. */
import { FOCUS_STATE, type FocusState } from "@wardline/renderer/testing/focus-state";
import type { Locator, Page } from "playwright";
import { expect } from "vitest";

type Role = Parameters<Page["getByRole"]>[0];
type Name = string | RegExp;

/** What can be read of a part of the window. A `Locator` has more; whoever gets it as this cannot use that. */
export interface Shown {
  getByRole(role: Role, options?: { readonly name?: Name; readonly exact?: boolean }): Shown;
  getByText(text: Name, options?: { readonly exact?: boolean }): Shown;
  locator(selector: string): Shown;
  filter(options: { readonly hasText: Name }): Shown;
  first(): Shown;
  last(): Shown;
  waitFor(options?: { readonly state?: "attached" | "detached" | "visible" | "hidden" }): Promise<void>;
  innerText(): Promise<string>;
  inputValue(): Promise<string>;
  count(): Promise<number>;
}

/** More presses of one key than this to reach a thing, and the window has no way to it that a person would go. */
export const MOST_PRESSES = 25;

export class Keyboard {
  readonly #page: Page;
  /** What the window shows. */
  readonly shown: Pick<Shown, "getByRole" | "getByText" | "locator">;
  /** The longest way that was gone by one key: `Tab 12 to button Keep`. */
  longest = { presses: 0, text: "" };

  constructor(page: Page) {
    this.#page = page;
    this.shown = page;
  }

  /** Presses keys, and looks where the focus is then: it must be somewhere, and be seen. */
  async press(keys: string): Promise<FocusState> {
    await this.#page.keyboard.press(keys);
    return this.focus(`after ${keys}`);
  }

  async type(text: string): Promise<FocusState> {
    await this.#page.keyboard.type(text);
    return this.focus(`after typing ${text}`);
  }

  /** @returns where the focus is; fails when it is lost or cannot be seen */
  async focus(when: string): Promise<FocusState> {
    let state = await this.#state();
    // A part that goes gives the focus to another within two frames.
    await expect
      .poll(
        async () => {
          state = await this.#state();
          return state.isLost ? "on the body" : state.isVisible ? "" : `not to be seen on ${state.what}`;
        },
        { message: `the focus ${when}`, timeout: 5_000 },
      )
      .toBe("");
    return state;
  }

  #state(): Promise<FocusState> {
    return this.#page.evaluate(FOCUS_STATE) as Promise<FocusState>;
  }

  /** Presses Tab until that has the focus. */
  tabTo(role: Role, name: Name, within?: Shown): Promise<void> {
    return this.#walk("Tab", role, name, within);
  }

  backTo(role: Role, name: Name): Promise<void> {
    return this.#walk("Shift+Tab", role, name);
  }

  /** Presses F6 until that has the focus, or something in it. */
  paneTo(role: Role, name: Name): Promise<void> {
    return this.#walk("F6", role, name, undefined, true);
  }

  /** Among options, radio buttons, tabs: by arrow keys. */
  arrowTo(role: Role, name: Name, keys = "ArrowDown"): Promise<void> {
    return this.#walk(keys, role, name);
  }

  async #walk(keys: string, role: Role, name: Name, within?: Shown, isInside = false): Promise<void> {
    const place = (within ?? this.#page) as Locator | Page;
    const target = place.getByRole(role, { name });
    const focused = isInside ? target.locator(":focus").or(target.and(this.#page.locator(":focus"))) : null;
    const found = focused ?? target.and(this.#page.locator(":focus"));
    await target.first().waitFor();
    const way: string[] = [];
    for (let presses = 0; presses <= MOST_PRESSES; presses++) {
      if ((await found.count()) > 0) {
        const text = `${keys} ${presses} to ${role} ${name}`;
        if (presses > this.longest.presses) this.longest = { presses, text };
        return;
      }
      way.push((await this.press(keys)).what);
    }
    throw new Error(`${MOST_PRESSES} times ${keys} did not reach the ${role} ${name}: ${way.join(" → ")}`);
  }
}
