/**
 * The element's style sheet, constructed: under the strict policy neither `<style>` in a shadow root nor style attributes
 * work, and a linked sheet would come a moment late. One rule of meaning: what is the base is grey, what the adapter adds has
 * the accent colour.
 */

const css = /* css */ `
:host {
  --paper: var(--lora-paper, #faf8f4);
  --card: var(--lora-card, #ffffff);
  --ink: var(--lora-ink, #1f1c18);
  --muted: var(--lora-muted, #6a6359);
  --quiet: var(--lora-quiet, #9a9184);
  --base: var(--lora-base, #d9d2c5);
  --line: var(--lora-line, #e9e4da);
  --edge: var(--lora-edge, #8d8579);
  --accent: var(--lora-accent, #b93c17);
  --accent-deep: var(--lora-accent-deep, #99300f);
  --accent-soft: var(--lora-accent-soft, #fbede6);
  --on-accent: var(--lora-on-accent, #ffffff);
  --sans: var(--lora-sans, -apple-system, BlinkMacSystemFont, "Segoe UI", Roboto, "Liberation Sans", "Helvetica Neue", Arial, "Noto Sans Devanagari", "Nirmala UI", "Kohinoor Devanagari", sans-serif);
  --serif: var(--lora-serif, "Iowan Old Style", Charter, "Palatino Linotype", Palatino, "Liberation Serif", Georgia, "Noto Serif Devanagari", "Kohinoor Devanagari", "Nirmala UI", serif);
  --mono: var(--lora-mono, ui-monospace, "SF Mono", "Cascadia Mono", "Roboto Mono", "Liberation Mono", monospace);
  color-scheme: light dark;
  display: block;
  color: var(--ink);
  font: 15px/1.5 var(--sans);
  -webkit-text-size-adjust: 100%;
}
@media (prefers-color-scheme: dark) {
  :host {
    --paper: var(--lora-paper, #161513);
    --card: var(--lora-card, #1f1d1a);
    --ink: var(--lora-ink, #f0ece5);
    --muted: var(--lora-muted, #a8a196);
    --quiet: var(--lora-quiet, #7d766b);
    --base: var(--lora-base, #4a453e);
    --line: var(--lora-line, #34302b);
    --edge: var(--lora-edge, #857d72);
    --accent: var(--lora-accent, #ff9468);
    --accent-deep: var(--lora-accent-deep, #ffab88);
    --accent-soft: var(--lora-accent-soft, #372219);
    --on-accent: var(--lora-on-accent, #2a1208);
  }
}
*, *::before, *::after { box-sizing: border-box; }
[hidden] { display: none !important; }
h2, h3, p, dl, dd, figure, blockquote, fieldset { margin: 0; padding: 0; border: 0; min-width: 0; }
button, input, textarea { font: inherit; color: inherit; margin: 0; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
.sr { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.small { font-size: 13px; }
.muted, .about { color: var(--muted); }
.figure, dd, output, .stats dd { font-variant-numeric: tabular-nums; }

/* three steps */
.steps { display: grid; gap: 20px; grid-template-columns: minmax(0, 1fr); align-items: stretch; }
@media (min-width: 720px) { .steps { grid-template-columns: minmax(0, 4fr) minmax(0, 5fr); } .compare { grid-column: 1 / -1; } }
@media (min-width: 1160px) { .steps { grid-template-columns: 252px 324px minmax(0, 1fr); } .compare { grid-column: auto; } }
.card { position: relative; background: var(--card); border: 1px solid var(--line); border-radius: 18px; padding: 22px; }
.steps > .card { display: flex; flex-direction: column; gap: 16px; }
.card header { display: grid; grid-template-columns: auto 1fr; column-gap: 12px; align-items: center; }
.card header p { grid-column: 2; font-size: 13px; }
.number { display: grid; place-items: center; width: 28px; height: 28px; border-radius: 50%; border: 1.5px solid var(--accent); color: var(--accent); font: 600 14px/1 var(--sans); }
h2 { font: 500 23px/1.25 var(--serif); letter-spacing: -0.005em; }
h3 { font: 500 19px/1.3 var(--serif); }

/* buttons and fields */
button { min-height: 40px; padding: 0 16px; border-radius: 20px; border: 1px solid var(--edge); background: transparent; cursor: pointer; font-weight: 500; white-space: nowrap; transition: background-color 0.15s, border-color 0.15s; }
button:hover:enabled { border-color: var(--ink); }
button.primary { background: var(--accent); border-color: var(--accent); color: var(--on-accent); font-weight: 600; }
button.primary:hover:enabled { background: var(--accent-deep); border-color: var(--accent-deep); }
button.quiet { border-color: transparent; padding: 0 10px; color: var(--muted); }
button.quiet:hover:enabled { color: var(--ink); border-color: var(--line); }
button:disabled { cursor: default; opacity: 0.45; }
.actions, .row { display: flex; flex-wrap: wrap; gap: 8px; align-items: center; }
input[type="number"], input[type="text"], textarea { width: 100%; min-height: 40px; padding: 8px 12px; border-radius: 10px; border: 1px solid var(--edge); background: transparent; }
input:disabled, textarea:disabled, fieldset:disabled { opacity: 0.6; }
input[type="number"] { appearance: textfield; -moz-appearance: textfield; font-variant-numeric: tabular-nums; }
input[type="number"]::-webkit-inner-spin-button { display: none; }
textarea { resize: vertical; line-height: 1.45; }
::placeholder { color: var(--muted); opacity: 1; }
.field { display: grid; gap: 3px; align-content: start; }
.field label { font-size: 13px; font-weight: 500; }
.field .about { font-size: 12px; line-height: 1.35; }

.slider { display: grid; grid-template-columns: 1fr auto; align-items: baseline; column-gap: 12px; }
.slider .name { font-weight: 500; }
.slider .about { font-size: 13px; margin-inline-start: 8px; }
.slider output { font-weight: 600; }
.slider input { grid-column: 1 / -1; }
input[type="range"] { appearance: none; -webkit-appearance: none; width: 100%; height: 28px; margin: 0; background: none; cursor: pointer; --at: calc(var(--fill, 0) * (100% - 20px) + 10px); }
input[type="range"]::-webkit-slider-runnable-track { height: 4px; border-radius: 2px; background: linear-gradient(to right, var(--accent) var(--at), var(--base) var(--at)); }
input[type="range"]::-moz-range-track { height: 4px; border-radius: 2px; background: linear-gradient(to right, var(--accent) var(--at), var(--base) var(--at)); }
input[type="range"]::-webkit-slider-thumb { -webkit-appearance: none; width: 20px; height: 20px; margin-top: -8px; border-radius: 50%; background: var(--card); border: 2px solid var(--accent); }
input[type="range"]::-moz-range-thumb { width: 16px; height: 16px; border-radius: 50%; background: var(--card); border: 2px solid var(--accent); }
input[type="range"]:disabled { cursor: default; }

/* 1: data */
.choices { display: grid; gap: 6px; }
.choice { position: relative; display: grid; padding: 6px 14px 7px; border-radius: 12px; border: 1px solid var(--line); cursor: pointer; transition: border-color 0.15s, background-color 0.15s; }
.choice .name { font-weight: 500; }
.choice .about { font-size: 13px; line-height: 1.35; }
.choice input { position: absolute; opacity: 0; inset: 0; width: 100%; height: 100%; cursor: pointer; }
.choice:hover { border-color: var(--edge); }
@supports not selector(:has(a)) { .choice:focus-within, .targets label:focus-within { outline: 2px solid var(--accent); outline-offset: 2px; } }
.choice[data-checked] { border-color: var(--accent); background: var(--accent-soft); }
.choice:focus-within:has(:focus-visible) { outline: 2px solid var(--accent); outline-offset: 2px; }
.own { display: grid; gap: 6px; }
.own .file { justify-self: start; margin-inline-start: -10px; }
.preview { display: flex; flex-direction: column; flex: 1 1 110px; min-height: 110px; overflow: hidden; }
.excerpt { flex: 1 1 0; min-height: 0; overflow: hidden; margin-top: 4px; font: 15px/1.5 var(--serif); white-space: pre-line; color: var(--muted); -webkit-mask-image: linear-gradient(black 45%, transparent); mask-image: linear-gradient(black 45%, transparent); }
.drop { display: none; position: absolute; inset: 6px; place-items: center; border: 2px dashed var(--accent); border-radius: 14px; background: var(--card); color: var(--accent); font: 500 19px var(--serif); }
[data-drop] > .drop { display: grid; }

/* 2: train */
.parameters p { display: flex; flex-wrap: wrap; align-items: baseline; gap: 0 8px; }
.share { font: 500 30px/1.15 var(--serif); color: var(--accent); font-variant-numeric: lining-nums tabular-nums; }
.bar { height: 10px; margin-top: 6px; border-radius: 5px; background: var(--base); overflow: hidden; }
.bar span { display: block; height: 100%; width: calc(var(--share, 0) * 100%); min-width: 2px; background: var(--accent); }
.train .actions .primary { flex: 1 1 auto; min-width: 132px; min-height: 44px; border-radius: 22px; font-size: 16px; }
.progress { height: 3px; border-radius: 2px; background: var(--line); overflow: hidden; }
.progress span { display: block; height: 100%; width: calc(var(--share, 0) * 100%); background: var(--accent); transition: width 0.2s linear; }
.stats { display: grid; grid-template-columns: repeat(4, auto); justify-content: space-between; gap: 4px 12px; }
.stats div { display: flex; flex-direction: column-reverse; }
.stats dt { font-size: 12px; line-height: 1.3; color: var(--muted); }
.stats dd { font: 500 20px/1.2 var(--serif); font-variant-numeric: lining-nums tabular-nums; min-width: 3ch; }
.curve { position: relative; display: flex; flex-direction: column; flex: 1 1 190px; min-height: 190px; }
.canvas { position: relative; flex: 1 1 0; min-height: 0; overflow: hidden; }
.canvas > * { position: absolute; }
.curve[data-empty] .canvas, .curve[data-empty] .legend { visibility: hidden; }
.curve .empty { position: absolute; inset: 0 0 4px; display: grid; place-content: center; padding: 0 28px; text-align: center; border: 1px dashed var(--line); border-radius: 14px; text-wrap: balance; }
.legend { display: flex; flex-wrap: wrap; gap: 16px; padding-inline-start: 38px; color: var(--muted); }
.legend span::before { content: ""; display: inline-block; width: 18px; height: 0; margin-inline-end: 6px; vertical-align: middle; border-top: 1.5px solid var(--quiet); }
.legend .accent-line::before { border-top: 3px solid var(--accent); }
.more { border-top: 1px solid var(--line); padding-top: 12px; margin-top: auto; }
summary { cursor: pointer; font-weight: 500; list-style: none; display: flex; align-items: center; gap: 8px; min-height: 28px; }
summary::-webkit-details-marker { display: none; }
summary::before { content: ""; width: 7px; height: 7px; border: solid var(--accent); border-width: 0 2px 2px 0; transform: rotate(-45deg); transition: transform 0.15s; }
[open] > summary::before { transform: rotate(45deg); }
.fields { display: grid; grid-template-columns: repeat(auto-fill, minmax(120px, 1fr)); gap: 14px 12px; margin: 12px 0 16px; }
.targets { display: flex; flex-wrap: wrap; gap: 6px; }
.targets legend { font-size: 13px; font-weight: 500; margin-bottom: 6px; }
.targets label { position: relative; display: grid; padding: 6px 12px; border-radius: 10px; border: 1px solid var(--line); cursor: pointer; line-height: 1.3; }
.targets code { font: 13px var(--mono); }
.targets .about { font-size: 12px; }
.targets input { position: absolute; opacity: 0; inset: 0; width: 100%; height: 100%; cursor: pointer; }
.targets label[data-checked] { border-color: var(--accent); background: var(--accent-soft); }
.targets label:has(:focus-visible) { outline: 2px solid var(--accent); outline-offset: 2px; }

/* 3: compare */
.ask { display: flex; gap: 8px; }
.ask .prompt { min-height: 44px; flex: 1; min-width: 0; border-radius: 22px; padding: 8px 18px; font: 17px var(--serif); }
.ask button { min-height: 44px; border-radius: 22px; }
.panes { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); gap: 14px; }
.pane { padding: 14px 18px 18px; border-radius: 4px 4px 14px 14px; background: var(--paper); border-top: 3px solid var(--base); min-height: 392px; }
.pane.adapted { border-top-color: var(--accent); }
.pane h3 { display: flex; flex-wrap: wrap; align-items: baseline; column-gap: 8px; margin-bottom: 8px; }
.pane h3 .about { font: 13px var(--sans); }
.pane.adapted .name { color: var(--accent); }
.story { font: 17px/1.58 var(--serif); white-space: pre-wrap; overflow-wrap: anywhere; hyphens: manual; }
.given { color: var(--muted); }
.story[data-writing] .written::after { content: ""; display: inline-block; width: 2px; height: 1em; margin-inline-start: 2px; vertical-align: -0.15em; background: var(--accent); animation: blink 1s steps(2) infinite; }
@keyframes blink { 50% { opacity: 0; } }
.pane .empty { color: var(--muted); font: 17px/1.5 var(--serif); max-width: 24ch; }
.sampling { display: grid; grid-template-columns: 1fr; gap: 10px 24px; border-top: 1px solid var(--line); padding-top: 14px; }
@media (min-width: 560px) { .sampling { grid-template-columns: 1fr 1fr; } .sampling .row { grid-column: 1 / -1; } }
.sampling .about { display: block; margin: 0; font-size: 12px; }
.sampling .row { gap: 10px 16px; }
.sampling .field { display: flex; align-items: center; gap: 8px; }
.sampling .field input { width: 92px; }
@media (max-width: 480px) { .panes { grid-template-columns: minmax(0, 1fr); } .pane { min-height: 150px; } }

/* four benefits */
.benefits { margin-top: 56px; }
.benefits > h2 { font-size: 28px; margin-bottom: 18px; }
.grid { display: grid; gap: 20px; grid-template-columns: repeat(auto-fit, minmax(min(100%, 270px), 1fr)); }
.benefits .card { display: flex; flex-direction: column; gap: 12px; }
.benefits .card > .muted { font-size: 14px; }
.benefits button { min-height: 38px; padding: 0 13px; font-size: 14px; }
.picture { margin-top: auto; }
.matrices { display: block; width: 100%; max-height: 170px; overflow: visible; }
.w { fill: var(--base); }
.ab { fill: var(--accent); }
.matrices text { fill: var(--ink); font-family: var(--serif); font-style: italic; text-anchor: middle; dominant-baseline: central; }
.digests { display: grid; gap: 2px; }
.digests dt { font-size: 12px; color: var(--muted); margin-top: 4px; }
.proof { container-type: inline-size; }
.digest { display: grid; grid-template-columns: repeat(4, max-content); column-gap: 1ch; min-height: 36px; font: 11px/18px var(--mono); font-size: clamp(9px, 4.65cqi, 13px); }
.proof .row { justify-content: space-between; margin-top: auto; }
.verdict { font-size: 14px; color: var(--muted); }
.verdict[data-match] { color: var(--ink); font-weight: 500; }
.verdict[data-match="true"]::before { content: ""; display: inline-block; width: 6px; height: 11px; margin: 0 9px 2px 3px; vertical-align: middle; border: solid var(--accent); border-width: 0 2px 2px 0; transform: rotate(40deg); }
.measures { display: grid; gap: 14px; margin-top: auto; }
.measure p { display: flex; justify-content: space-between; font-size: 14px; margin-bottom: 4px; }
.measure .fill { display: block; height: 22px; border-radius: 4px; width: calc(var(--share, 0) * 100%); min-width: 3px; background: var(--base); }
.measure.adapter .fill { background: var(--accent); }
.sizing { display: flex; gap: 18px; align-items: center; margin-top: auto; }
.areas { width: 104px; flex: none; display: block; }
.sizes { display: grid; gap: 8px; }
.sizes dt { font-size: 13px; color: var(--muted); }
.sizes dd { font: 500 20px/1.2 var(--serif); font-variant-numeric: lining-nums tabular-nums; }
.sizes .adapter dd { color: var(--accent); }

/* Devanagari hangs from a line of its own and has signs above and below it. */
:host(:lang(hi)) { line-height: 1.65; }
:lang(hi):is(h2, h3) { line-height: 1.45; letter-spacing: 0; }
:lang(hi):is(.small, .about, .empty, .problem *) { line-height: 1.6; }

/* status and problems */
.loading { max-width: 420px; margin: 0 0 16px; }
.loading .progress { margin-top: 6px; }
.status > .problem { margin-bottom: 20px; }
.problem { display: flex; gap: 12px; align-items: flex-start; justify-content: space-between; padding: 12px 14px; border-radius: 12px; border: 1.5px solid var(--ink); background: var(--card); }
.problem > div { min-width: 0; }
.problem strong { display: block; font-weight: 600; line-height: 1.35; }
.problem .detail { display: block; margin-top: 4px; font-size: 13px; line-height: 1.4; color: var(--muted); overflow-wrap: anywhere; }
.problem .quiet { flex: none; margin: -6px -8px -6px 0; }
@media (max-width: 480px) { .card { padding: 18px 16px; border-radius: 16px; } .benefits { margin-top: 40px; } }
@media (prefers-reduced-motion: reduce) { *, *::before, *::after { animation: none !important; transition: none !important; } }
@media (forced-colors: active) { .bar span, .progress span, .fill { forced-color-adjust: none; } }
`;

export const sheet = new CSSStyleSheet();
sheet.replaceSync(css);
