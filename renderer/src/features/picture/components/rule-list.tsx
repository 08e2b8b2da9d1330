import type { PictureRule } from "@wardline/api/wardline/console/v1/picture";
import { Direction } from "@wardline/api/wardline/v1/policy";
import { useWindow } from "../../../data/window-store.ts";
import { visibleText } from "../../../ui/index.ts";

/** Rules with a way to their line. */
export function RuleList({ title, rules, none }: { title: string; rules: readonly PictureRule[]; none: string }) {
  const openFile = useWindow((state) => state.openFile);
  return (
    <section aria-label={title}>
      <h3>{title}</h3>
      {rules.length === 0 ? <p className="soft">{none}</p> : null}
      <ul className="picture-rules">
        {rules.map(({ decision, direction, from, to, ports }, index) => {
          const source = decision?.source;
          return (
            // biome-ignore lint/suspicious/noArrayIndexKey: two rules may say the same; their order is all that tells them apart.
            <li key={index}>
              <span>
                {direction === Direction.INGRESS ? "Ingress" : "Egress"}: {visibleText(decision?.summary ?? "")}
              </span>
              <span className="faint truncate">
                {visibleText(from)} → {visibleText(to)} on {visibleText(ports)}
              </span>
              {source && source.file !== "" ? (
                <button
                  type="button"
                  className="link code"
                  onClick={() => openFile(source.file, source.line, source.column)}
                >
                  {visibleText(source.file)}:{source.line}
                </button>
              ) : null}
            </li>
          );
        })}
      </ul>
    </section>
  );
}
