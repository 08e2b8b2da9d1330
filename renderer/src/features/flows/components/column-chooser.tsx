import { ArrowLeft, ArrowRight, Columns3 } from "lucide-react";
import { Dialog, DialogTrigger, Popover } from "react-aria-components";
import { Button, Checkbox, IconButton } from "../../../ui/index.ts";
import { COLUMN_NAMES, COLUMNS, moved, type ShownColumn, toggled, USUAL_COLUMNS } from "../model/columns.ts";

interface ColumnChooserProps {
  readonly columns: readonly ShownColumn[];
  readonly onColumns: (columns: readonly ShownColumn[]) => void;
}

/** Which columns, and in which order. Kept on this computer. */
export function ColumnChooser({ columns, onColumns }: ColumnChooserProps) {
  const shown = columns.map(({ name }) => name);
  const names = [...shown, ...COLUMN_NAMES.filter((name) => !(shown as readonly string[]).includes(name))];
  return (
    <DialogTrigger>
      <Button size="small" icon={<Columns3 size={12} aria-hidden="true" />}>
        Columns
      </Button>
      <Popover className="popover" placement="bottom end" offset={4}>
        <Dialog className="flow-menu" aria-label="Columns">
          {(names as readonly ShownColumn["name"][]).map((name) => {
            const index = shown.indexOf(name);
            const { title } = COLUMNS[name];
            return (
              <div key={name} className="column-line">
                <Checkbox isSelected={index >= 0} onChange={() => onColumns(toggled(columns, name))}>
                  {title}
                </Checkbox>
                {index >= 0 ? (
                  <>
                    <IconButton
                      label={`Move ${title} to the left`}
                      isDisabled={index === 0}
                      onPress={() => onColumns(moved(columns, name, -1))}
                    >
                      <ArrowLeft size={14} aria-hidden="true" />
                    </IconButton>
                    <IconButton
                      label={`Move ${title} to the right`}
                      isDisabled={index === shown.length - 1}
                      onPress={() => onColumns(moved(columns, name, 1))}
                    >
                      <ArrowRight size={14} aria-hidden="true" />
                    </IconButton>
                  </>
                ) : null}
              </div>
            );
          })}
          <Button size="small" onPress={() => onColumns(USUAL_COLUMNS)}>
            As usual
          </Button>
        </Dialog>
      </Popover>
    </DialogTrigger>
  );
}
