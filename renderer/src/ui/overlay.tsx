import { X } from "lucide-react";
import type { ReactNode } from "react";
import { Dialog as AriaDialog, Heading, Modal, ModalOverlay } from "react-aria-components";
import { IconButton } from "./controls.tsx";
import "./overlay.css";

interface SheetProps {
  readonly isOpen: boolean;
  readonly onClose: () => void;
  readonly title: string;
  readonly shape: "dialog" | "drawer" | "palette";
  readonly children: ReactNode;
  readonly footer?: ReactNode;
  readonly subtitle?: ReactNode;
  readonly isTitleHidden?: boolean;
  readonly isDismissable?: boolean;
}

/** A dialog in the middle, or a drawer at the right edge. Focus is kept inside and returns; Escape closes. */
export function Sheet({
  shape,
  isOpen,
  onClose,
  title,
  subtitle,
  children,
  footer,
  isTitleHidden,
  isDismissable = true,
}: SheetProps) {
  return (
    <ModalOverlay
      className="sheet-scrim"
      data-shape={shape}
      isOpen={isOpen}
      isDismissable={isDismissable}
      onOpenChange={(isNowOpen) => {
        if (!isNowOpen) onClose();
      }}
    >
      <Modal className="sheet" data-shape={shape}>
        <AriaDialog className="sheet-dialog">
          {isTitleHidden ? (
            <Heading slot="title" className="visually-hidden">
              {title}
            </Heading>
          ) : (
            <header className="sheet-header">
              <div className="sheet-heading">
                <Heading slot="title" level={2} className="sheet-title truncate">
                  {title}
                </Heading>
                {subtitle}
              </div>
              <IconButton label="Close" keys="Esc" onPress={onClose}>
                <X size={16} aria-hidden="true" />
              </IconButton>
            </header>
          )}
          <div className="sheet-body scroll">{children}</div>
          {footer ? <footer className="sheet-footer">{footer}</footer> : null}
        </AriaDialog>
      </Modal>
    </ModalOverlay>
  );
}
