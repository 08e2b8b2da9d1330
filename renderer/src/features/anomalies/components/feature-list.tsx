import type { FindingFeature } from "@wardline/api/wardline/v1/anomaly";
import { formatQuantity, visibleText } from "../../../ui/index.ts";
import { placeFeature } from "../model/place.ts";
import { bandText, quantityText } from "../model/words.ts";

const SHOWN_FIRST = 3;
const PERCENT = new Intl.NumberFormat("en", { style: "percent", maximumFractionDigits: 0 });

/** What made it unusual: each quantity drawn against where it usually lies, largest share first. */
export function FeatureList({ features }: { features: readonly FindingFeature[] }) {
  const sorted = [...features].sort((a, b) => b.contribution - a.contribution);
  const rest = sorted.slice(SHOWN_FIRST);
  if (sorted.length === 0) return null;
  return (
    <section className="finding-section" aria-labelledby="finding-features">
      <h3 id="finding-features">Why</h3>
      <ul className="feature-list">
        {sorted.slice(0, SHOWN_FIRST).map((feature) => (
          <Feature key={feature.key} feature={feature} />
        ))}
      </ul>
      {rest.length > 0 ? (
        <details>
          <summary>{formatQuantity(rest.length, "smaller reason")}</summary>
          <ul className="feature-list">
            {rest.map((feature) => (
              <Feature key={feature.key} feature={feature} />
            ))}
          </ul>
        </details>
      ) : null}
    </section>
  );
}

function Feature({ feature }: { feature: FindingFeature }) {
  const { value, band, isLogarithmic } = placeFeature(feature);
  return (
    <li className="feature">
      <p className="feature-line">
        <strong>{quantityText(feature.value, feature.unit)}</strong> <span>{visibleText(feature.name)}</span>
        <span className="soft feature-band-text">{bandText(feature)}</span>
        <span className="faint feature-share" title="Share of the score">
          {PERCENT.format(feature.contribution)}
        </span>
      </p>
      <div className="feature-scale" aria-hidden="true">
        {band ? (
          <span
            className="feature-band"
            style={{ left: `${band.low * 100}%`, width: `max(3px, ${(band.high - band.low) * 100}%)` }}
          />
        ) : null}
        <span className="feature-mark" style={{ left: `${value * 100}%` }} />
        {isLogarithmic ? <span className="feature-log faint">scale in powers of ten</span> : null}
      </div>
    </li>
  );
}
