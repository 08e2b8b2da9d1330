import { type ComponentType, type ReactNode, useEffect, useState } from "react";

/**
 * A part of the page that is fetched when it is first shown. Unlike a lazy component it appears as soon as it is there:
 * what React suspends stays behind its placeholder for 300 ms, however fast the part came.
 */
export function loaded<Props extends object>(
  load: () => Promise<{ readonly default: ComponentType<Props> }>,
  placeholder: ReactNode,
): ComponentType<Props> {
  let known: ComponentType<Props> | null = null;
  return function Loaded(props: Props) {
    const [Shown, setShown] = useState<ComponentType<Props> | null>(() => known);
    const [problem, setProblem] = useState<unknown>(null);
    useEffect(() => {
      if (known) return;
      let isGone = false;
      load().then(
        ({ default: component }) => {
          known = component;
          if (!isGone) setShown(() => component);
        },
        (error: unknown) => {
          if (!isGone) setProblem(error ?? new Error("A part of the page could not be loaded."));
        },
      );
      return () => {
        isGone = true;
      };
    }, []);
    // The boundary around the view says what to do.
    if (problem !== null) throw problem;
    return Shown ? <Shown {...props} /> : placeholder;
  };
}
