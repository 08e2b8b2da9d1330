import { X } from "lucide-react";
import { type ReactNode, useEffect, useRef } from "react";
import { IconButton } from "../../../ui/index.ts";

/** What is selected, beside the picture; Escape closes it. */
export function Side({ name, title, onClose, children }: SideProps) {
  const close = useRef(onClose);
  close.current = onClose;
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      if (event.key === "Escape" && !event.defaultPrevented) close.current();
    };
    document.addEventListener("keydown", onKeyDown);
    return () => document.removeEventListener("keydown", onKeyDown);
  }, []);
  return (
    <aside className="picture-side scroll" aria-label={name}>
      <header className="picture-side-head">
        <h2>{title}</h2>
        <IconButton label="Close" onPress={onClose}>
          <X size={16} aria-hidden="true" />
        </IconButton>
      </header>
      {children}
    </aside>
  );
}

interface SideProps {
  readonly name: string;
  readonly title: ReactNode;
  readonly onClose: () => void;
  readonly children: ReactNode;
}

export function Facts({ facts }: { facts: readonly (readonly [string, ReactNode])[] }) {
  return (
    <dl className="picture-facts">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
