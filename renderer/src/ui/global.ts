/** Fonts, tokens and the base of the look, in the order in which they override one another. */
import "./fonts.css";
import "./tokens.css";
import "./base.css";
import "./print.css";
