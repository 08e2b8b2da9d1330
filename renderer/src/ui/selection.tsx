import { Check, Minus } from "lucide-react";
import type { ReactNode } from "react";
import {
  Checkbox as AriaCheckbox,
  Switch as AriaSwitch,
  Menu,
  MenuItem,
  MenuTrigger,
  Popover,
} from "react-aria-components";
import { KeyHint } from "./controls.tsx";
import "./selection.css";

interface CheckboxProps {
  readonly isSelected: boolean;
  readonly onChange: (isSelected: boolean) => void;
  readonly children: ReactNode;
  /** Some of what it stands for is chosen. */
  readonly isIndeterminate?: boolean;
  readonly isDisabled?: boolean;
  readonly hint?: string;
}

/** One of several things that may be chosen together. */
export function Checkbox({ children, hint, ...rest }: CheckboxProps) {
  return (
    <AriaCheckbox {...rest} className="checkbox">
      {({ isSelected, isIndeterminate }) => (
        <>
          <span className="checkbox-box" aria-hidden="true">
            {isIndeterminate ? <Minus size={12} /> : isSelected ? <Check size={12} /> : null}
          </span>
          <span className="checkbox-text">
            {children}
            {hint ? <span className="faint">{hint}</span> : null}
          </span>
        </>
      )}
    </AriaCheckbox>
  );
}

interface SwitchProps {
  readonly isSelected: boolean;
  readonly onChange: (isSelected: boolean) => void;
  readonly children: ReactNode;
  readonly isDisabled?: boolean;
}

/** Something that is on or off, at once. Its place says it, not its colour alone. */
export function Switch({ children, ...rest }: SwitchProps) {
  return (
    <AriaSwitch {...rest} className="switch">
      <span className="switch-track" aria-hidden="true">
        <span className="switch-knob" />
      </span>
      {children}
    </AriaSwitch>
  );
}

export interface ActionChoice {
  readonly id: string;
  readonly label: string;
  readonly detail?: string;
  readonly keys?: string;
  readonly icon?: ReactNode;
  readonly isDisabled?: boolean;
  readonly run: () => void;
}

/** Actions behind one button, which is the only child. */
export function ActionMenu({
  label,
  actions,
  children,
}: {
  label: string;
  actions: readonly ActionChoice[];
  children: ReactNode;
}) {
  return (
    <MenuTrigger>
      {children}
      <Popover className="popover" offset={4}>
        <Menu
          className="menu"
          aria-label={label}
          disabledKeys={actions.filter(({ isDisabled }) => isDisabled).map(({ id }) => id)}
          onAction={(key) => actions.find(({ id }) => id === key)?.run()}
        >
          {actions.map((action) => (
            <MenuItem key={action.id} id={action.id} textValue={action.label} className="menu-item">
              {action.icon}
              <span className="menu-item-text">
                <span className="truncate">{action.label}</span>
                {action.detail ? <span className="faint">{action.detail}</span> : null}
              </span>
              {action.keys ? <KeyHint keys={action.keys} /> : null}
            </MenuItem>
          ))}
        </Menu>
      </Popover>
    </MenuTrigger>
  );
}
