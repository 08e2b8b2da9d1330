/**
 * Fonts, tokens, the base of the look and that of every component, in the order in which they override one another: here
 * and not only beside the components, so that a view that comes later brings no style that overrides one of its own.
 */
import "./fonts.css";
import "./tokens.css";
import "./base.css";
import "./controls.css";
import "./countdown-ring.css";
import "./data-grid.css";
import "./environment-tag.css";
import "./overlay.css";
import "./selection.css";
import "./severity.css";
import "./states.css";
import "./tabs.css";
import "./time-chart.css";
import "./verdict.css";
import "./forced-colors.css";
import "./print.css";
