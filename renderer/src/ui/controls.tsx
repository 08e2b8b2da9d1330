import { ChevronDown } from "lucide-react";
import type { ReactNode } from "react";
import {
  Button as AriaButton,
  type ButtonProps as AriaButtonProps,
  Select as AriaSelect,
  TextField as AriaTextField,
  Input,
  Label,
  ListBox,
  ListBoxItem,
  Popover,
  Radio,
  RadioGroup,
  SelectValue,
  Text,
  Tooltip,
  TooltipTrigger,
} from "react-aria-components";
import "./controls.css";

export type Tone = "plain" | "primary" | "danger" | "quiet";

interface ButtonProps extends Omit<AriaButtonProps, "className" | "style"> {
  readonly tone?: Tone;
  readonly size?: "small" | "normal" | "large";
  readonly icon?: ReactNode;
  /** Keys that do the same, shown on the button: `Alt+K`. */
  readonly keys?: string;
  readonly children: ReactNode;
}

export function Button({ tone = "plain", size = "normal", icon, keys, children, ...rest }: ButtonProps) {
  return (
    <AriaButton {...rest} className="button" data-tone={tone} data-size={size}>
      {icon}
      <span className="button-label">{children}</span>
      {keys ? <KeyHint keys={keys} /> : null}
    </AriaButton>
  );
}

interface IconButtonProps extends Omit<AriaButtonProps, "className" | "style" | "children"> {
  readonly label: string;
  readonly keys?: string;
  readonly isPressedState?: boolean;
  readonly children: ReactNode;
}

/** A button with a picture only: the label is its accessible name and its tooltip. */
export function IconButton({ label, keys, isPressedState, children, ...rest }: IconButtonProps) {
  return (
    <TooltipTrigger delay={500}>
      <AriaButton
        {...rest}
        className="icon-button"
        aria-label={label}
        {...(isPressedState === undefined ? {} : { "aria-pressed": isPressedState })}
      >
        {children}
      </AriaButton>
      <Tooltip className="tooltip" offset={6}>
        {label}
        {keys ? <KeyHint keys={keys} /> : null}
      </Tooltip>
    </TooltipTrigger>
  );
}

const isApple = typeof navigator !== "undefined" && /Mac|iPhone|iPad/.test(navigator.platform);

/** `Ctrl+K` is written once and shown as `⌘K` on a Mac. */
export function keyText(keys: string): string {
  if (!isApple) return keys;
  return keys.replace("Ctrl+", "⌘").replace("Alt+", "⌥").replace("Shift+", "⇧");
}

export function KeyHint({ keys }: { keys: string }) {
  return (
    <span className="key-hint" aria-hidden="true">
      {keyText(keys)}
    </span>
  );
}

interface TextFieldProps {
  readonly label: string;
  readonly value: string;
  readonly onChange: (value: string) => void;
  readonly placeholder?: string;
  readonly hint?: string;
  readonly isLabelHidden?: boolean;
  readonly isCode?: boolean;
  readonly list?: string;
  readonly onSubmit?: () => void;
  /** The focus goes elsewhere. */
  readonly onLeave?: () => void;
  readonly icon?: ReactNode;
  readonly isInvalid?: boolean;
}

/** A text field whose text is not shown and not kept by the browser. */
export function SecretField(props: Omit<TextFieldProps, "isCode" | "list">) {
  return <TextField {...props} isSecret />;
}

export function TextField(props: TextFieldProps & { readonly isSecret?: boolean }) {
  return (
    <AriaTextField
      className="field"
      value={props.value}
      onChange={props.onChange}
      isInvalid={props.isInvalid ?? false}
      {...(props.isLabelHidden ? { "aria-label": props.label } : {})}
    >
      {props.isLabelHidden ? null : <Label className="field-label">{props.label}</Label>}
      <span className="field-box">
        {props.icon}
        <Input
          className={props.isCode ? "field-input code" : "field-input"}
          type={props.isSecret ? "password" : "text"}
          placeholder={props.placeholder ?? ""}
          spellCheck={false}
          autoComplete="off"
          {...(props.list ? { list: props.list } : {})}
          {...(props.onLeave ? { onBlur: props.onLeave } : {})}
          onKeyDown={(event) => {
            if (event.key === "Enter" && !event.nativeEvent.isComposing) props.onSubmit?.();
          }}
        />
      </span>
      {props.hint ? (
        <Text slot="description" className="field-hint">
          {props.hint}
        </Text>
      ) : null}
    </AriaTextField>
  );
}

export interface Choice<Value extends string> {
  readonly value: Value;
  readonly label: string;
  readonly detail?: string;
  readonly icon?: ReactNode;
}

interface SelectProps<Value extends string> {
  readonly label: string;
  readonly value: Value;
  readonly choices: readonly Choice<Value>[];
  readonly onChange: (value: Value) => void;
  readonly isLabelHidden?: boolean;
  readonly icon?: ReactNode;
  readonly id?: string;
  /** Id of what says more about it. */
  readonly describedBy?: string;
  readonly isDisabled?: boolean;
  readonly isInvalid?: boolean;
  readonly onFocus?: () => void;
}

export function Select<Value extends string>({
  label,
  value,
  choices,
  onChange,
  isLabelHidden,
  icon,
  describedBy,
  ...rest
}: SelectProps<Value>) {
  return (
    <AriaSelect
      {...rest}
      className="field"
      {...(describedBy === undefined ? {} : { "aria-describedby": describedBy })}
      value={value}
      onChange={(key) => {
        const chosen = choices.find((choice) => choice.value === key);
        if (chosen) onChange(chosen.value);
      }}
      {...(isLabelHidden ? { "aria-label": label } : {})}
    >
      {isLabelHidden ? null : <Label className="field-label">{label}</Label>}
      <AriaButton className="button select-button" data-tone="plain" data-size="normal">
        {icon}
        <SelectValue className="truncate select-value">
          {() => choices.find((choice) => choice.value === value)?.label ?? label}
        </SelectValue>
        <ChevronDown size={14} aria-hidden="true" />
      </AriaButton>
      <Popover className="popover" offset={4}>
        <ListBox className="menu">
          {choices.map((choice) => (
            <ListBoxItem key={choice.value} id={choice.value} textValue={choice.label} className="menu-item">
              {choice.icon}
              <span className="menu-item-text">
                <span className="truncate">{choice.label}</span>
                {choice.detail ? <span className="faint">{choice.detail}</span> : null}
              </span>
            </ListBoxItem>
          ))}
        </ListBox>
      </Popover>
    </AriaSelect>
  );
}

interface ChoiceCardsProps<Value extends string> {
  readonly label: string;
  readonly value: Value;
  readonly choices: readonly Choice<Value>[];
  readonly onChange: (value: Value) => void;
}

/** A choice between a few things that each need a sentence. */
export function ChoiceCards<Value extends string>({ label, value, choices, onChange }: ChoiceCardsProps<Value>) {
  return (
    <RadioGroup
      className="choice-cards"
      value={value}
      onChange={(chosen) => {
        const choice = choices.find((candidate) => candidate.value === chosen);
        if (choice) onChange(choice.value);
      }}
    >
      <Label className="field-label">{label}</Label>
      <div className="choice-cards-list">
        {choices.map((choice) => (
          <Radio key={choice.value} value={choice.value} className="choice-card">
            <span className="choice-card-dot" aria-hidden="true" />
            <span className="choice-card-text">
              <span className="choice-card-title">
                {choice.icon ? <span aria-hidden="true">{choice.icon}</span> : null}
                <span>{choice.label}</span>
              </span>
              {choice.detail ? <span className="soft">{choice.detail}</span> : null}
            </span>
          </Radio>
        ))}
      </div>
    </RadioGroup>
  );
}
