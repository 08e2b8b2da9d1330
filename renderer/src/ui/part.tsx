/**
 * Parts of the window that come when they are first shown, and walls between parts. A browser gives up what it loads when the
 * machine gets another network, and a fault of one view must not take the others with it: somewhere a change may be waiting for
 * its confirmation.
 */
import { Component, type ComponentType, createElement, type FunctionComponent, lazy, type ReactNode } from "react";
import { FailureNotice } from "./states.tsx";

/** Before the second, third and fourth try, in milliseconds. */
const TRY_AGAIN_AFTER_MS = [200, 1_000, 3_000];

/** What forgets the parts whose last try failed: they are asked for anew when they are shown again. */
const failed = new Set<() => void>();

async function patiently<T>(load: () => Promise<T>): Promise<T> {
  for (const waitMs of TRY_AGAIN_AFTER_MS) {
    try {
      return await load();
    } catch {
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
  }
  return load();
}

type PropsOf<T> = T extends (props: infer P extends object) => ReactNode ? P : object;

/** As React's `lazy`, but a part that could not be loaded is tried again: by itself at first, then by the button of its wall. */
export function lazyPart<T extends (props: never) => ReactNode>(
  load: () => Promise<{ default: T }>,
): ComponentType<PropsOf<T>> {
  let current: FunctionComponent<PropsOf<T>> | null = null;
  const forget = () => {
    current = null;
  };
  const loaded = async () => {
    try {
      const { default: part } = await patiently(load);
      return { default: part as unknown as ComponentType<PropsOf<T>> };
    } catch (error) {
      failed.add(forget);
      throw new Error("It could not be loaded.", { cause: error });
    }
  };
  return function LazyPart(props: PropsOf<T>) {
    current ??= lazy(loaded) as unknown as FunctionComponent<PropsOf<T>>;
    return createElement(current, props);
  };
}

interface PartBoundaryProps {
  /** "The view Flows". */
  readonly name: string;
  /** Another one begins anew: the person has gone elsewhere. */
  readonly resetKey?: string;
  /** It lies over the window, not in it. */
  readonly isOver?: boolean;
  readonly children: ReactNode;
}

/** Holds a fault of what is inside, says it, and offers to begin that part anew. */
export class PartBoundary extends Component<PartBoundaryProps, { readonly fault: Error | null }> {
  override state: { readonly fault: Error | null } = { fault: null };

  static getDerivedStateFromError(error: unknown) {
    return { fault: error instanceof Error ? error : new Error(String(error)) };
  }

  override componentDidUpdate(before: PartBoundaryProps): void {
    if (before.resetKey !== this.props.resetKey && this.state.fault !== null) this.#again();
  }

  readonly #again = () => {
    for (const forget of failed) forget();
    failed.clear();
    this.setState({ fault: null });
  };

  override render(): ReactNode {
    const { fault } = this.state;
    if (fault === null) return this.props.children;
    const failure = {
      code: "PART_FAILED",
      message: `${this.props.name} could not be shown: ${fault.message}`,
      hint: "Everything else goes on, and hosts enforce what they enforced. If it stays like this, load the window anew.",
      retryable: true,
      diagnostics: [],
    };
    return (
      <div className="part-fault" data-over={this.props.isOver ? "" : undefined}>
        <FailureNotice failure={failure} onRetry={this.#again} />
      </div>
    );
  }
}
