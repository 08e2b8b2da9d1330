import { useWindow } from "../data/window-store.ts";
import { keyText, Sheet } from "../ui/index.ts";
import { SHORTCUTS } from "./commands.ts";

export function ShortcutsSheet() {
  const { overlay, show } = useWindow();
  const groups = [...new Set(SHORTCUTS.map((shortcut) => shortcut.group))];
  return (
    <Sheet shape="dialog" title="Keyboard shortcuts" isOpen={overlay === "shortcuts"} onClose={() => show("none")}>
      <div className="shortcuts">
        {groups.map((group) => (
          <section key={group}>
            <h3>{group}</h3>
            <dl className="facts">
              {SHORTCUTS.filter((shortcut) => shortcut.group === group).map((shortcut) => (
                <div className="shortcut" key={shortcut.keys}>
                  <dt>
                    <kbd className="key-hint">{keyText(shortcut.keys)}</kbd>
                  </dt>
                  <dd>{shortcut.does}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
    </Sheet>
  );
}
