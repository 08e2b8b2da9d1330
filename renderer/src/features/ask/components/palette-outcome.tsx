import { Outcome } from "./outcome.tsx";
import "../ask.css";

export default function PaletteOutcome({ onChoose }: { readonly onChoose: (text: string) => void }) {
  return (
    <div className="ask palette-answer scroll">
      <Outcome onChoose={onChoose} />
    </div>
  );
}
