/** A trial as one HTML file that needs nothing else: to be looked at, then read. */

import { latencyChart, pairsChart, quote, threadsChart, timelineChart, tone } from './charts';
import { measures } from './measures';
import { interval } from './verdict';
import { counted, figure, type Report, ratio } from './words';

const style = `
:root{--ink:#1c2026;--soft:#636b76;--page:#f6f7f9;--card:#fff;--rule:#dfe3e8;--stripe:#f6f7f9;--ours:#0b7285;--plain:#8b95a1;
--good:#1a7f37;--bad:#c62828;--same:#59636e;--open:#9a6700;--zone:#e7ebef;--js:#0b7285;--driver:#f08c00;--rest:#adb5bd}
@media (prefers-color-scheme:dark){:root{--ink:#e6e9ee;--soft:#9aa4b0;--page:#14171b;--card:#1d2127;--rule:#343a43;--stripe:#21262d;
--ours:#3bc9db;--plain:#8b95a1;--good:#57c26f;--bad:#ff7b72;--same:#aab3bd;--open:#e3b341;--zone:#2c323a;--js:#22a6b8;--rest:#59636e}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 system-ui,"DejaVu Sans",sans-serif}
main{max-width:1000px;margin:0 auto;padding:24px 20px 60px}
.limits{font-size:13px;color:var(--soft);margin:0 0 18px;padding:10px 14px;border-left:4px solid var(--open);background:var(--card)}
.limits b{color:var(--ink)} .limits ul{margin:4px 0 0;padding-left:18px}
.verdict{background:var(--card);border-radius:10px;padding:22px 26px;border-top:8px solid var(--same);margin-bottom:20px}
.verdict.canary{border-color:var(--good)} .verdict.worse{border-color:var(--bad)}
.verdict h1{margin:0;font-size:32px;line-height:1.2} .verdict.canary h1{color:var(--good)} .verdict.worse h1{color:var(--bad)}
.verdict code{color:var(--soft);font-size:13px} .verdict ul{margin:12px 0 0;padding-left:20px} .verdict p{margin:10px 0 0;color:var(--soft)}
.tiles{display:flex;gap:12px;flex-wrap:wrap;margin:0 0 20px}
.tile{flex:1 1 170px;background:var(--card);border-radius:10px;padding:14px 16px}
.tile b{display:block;font-size:26px;line-height:1.2} .tile span{font-size:13px;color:var(--soft);display:block}
.tile span:first-child{min-height:2.9em;color:var(--ink)}
section{background:var(--card);border-radius:10px;padding:18px 22px;margin-bottom:20px}
h2{margin:0 0 2px;font-size:18px} section>p{margin:0 0 10px;color:var(--soft);font-size:13px}
section{overflow-x:auto} svg{width:100%;min-width:700px;height:auto;display:block} svg text{font-size:12.5px;fill:var(--ink)}
svg .axis{font-size:11.5px;fill:var(--soft)} svg .strong{font-weight:600} svg .word{font-weight:600}
.grid{stroke:var(--rule)} .one{stroke:var(--ink);stroke-width:1.3} .round{stroke:var(--soft);stroke-dasharray:2 4}
.stripe{fill:var(--stripe)} .margin{fill:var(--zone)} .foreign{fill:var(--open);opacity:.55}
.dot{opacity:.5} .range{opacity:.95} .median{stroke-width:2.5}
.dot.better,.range.better{fill:var(--good)} .median.better{stroke:var(--good)}
.dot.worse,.range.worse{fill:var(--bad)} .median.worse{stroke:var(--bad)}
.dot.same,.range.same{fill:var(--same)} .median.same{stroke:var(--same)}
.dot.undecided,.range.undecided{fill:var(--open)} .median.undecided{stroke:var(--open)}
.dot.control{fill:var(--plain);opacity:.45} .range.control{fill:var(--plain);opacity:.8} .median.control{stroke:var(--plain)}
svg .word.better{fill:var(--good)} svg .word.worse{fill:var(--bad)} svg .word.same{fill:var(--same)} svg .word.undecided{fill:var(--open)}
.better{color:var(--good)} .worse{color:var(--bad)} .same{color:var(--same)} .undecided{color:var(--open)}
.verdict.worse{color:inherit}
.curve{fill:none;stroke-width:2} .curve.plain{stroke:var(--plain)} .curve.null{stroke:var(--plain);stroke-dasharray:4 4}
.curve.tsloop{stroke:var(--ours);stroke-width:3} svg .name.tsloop{fill:var(--ours);font-weight:600} svg .name{fill:var(--soft)}
.bar.js{fill:var(--js)} .bar.driver{fill:var(--driver)} .bar.rest{fill:var(--rest)} svg .inside{fill:#fff;font-weight:600}
.slice.tsloop{fill:var(--ours)} .slice.plain{fill:var(--plain)} .slice.null{fill:none;stroke:var(--plain);stroke-width:1.4}
.key{display:inline-block;width:10px;height:10px;border-radius:5px;margin:0 4px 0 10px}
table{border-collapse:collapse;width:100%;font-size:13px} th,td{padding:5px 8px;text-align:right;border-bottom:1px solid var(--rule)}
th:first-child,td:first-child,th:last-child,td:last-child{text-align:left} th{color:var(--soft);font-weight:500}
.scroll{overflow-x:auto} .wrong{font:13px/1.5 ui-monospace,monospace;overflow-wrap:anywhere}`;

const list = (items: readonly string[]): string =>
  `<ul>${items.map((item) => `<li>${quote(item)}</li>`).join('')}</ul>`;

/** A picture that there is no data for is left out, with its heading. */
const section = (title: string, about: string, picture: string): string =>
  picture === '' ? '' : `<section><h2>${title}</h2><p>${about}</p>${picture}</section>`;

export function renderPage({ command, machine, cannotShow, course, verdict }: Report): string {
  const { slices, judged, look, incidents } = course;
  const rated = course.rate !== null;
  const key = (colour: string, words: string) =>
    `<span class="key" style="background:var(--${colour})"></span>${words}`;
  const wrong =
    incidents.wrong === null
      ? ''
      : `<section><h2>A wrong answer</h2><p>${quote(incidents.wrong.request)}</p><div class="wrong">plain Node: ${quote(incidents.wrong.plain)}<br>tsloop: ${quote(incidents.wrong.tsloop)}</div></section>`;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>tsloop trial: ${quote(verdict.text)}</title><style>${style}</style></head><body><main>
<div class="limits"><b>What this trial cannot show</b>${list(cannotShow)}</div>
<div class="verdict ${verdict.outcome}"><code>${quote(command)}</code><h1>${quote(verdict.text.slice(0, 1).toUpperCase() + verdict.text.slice(1))}</h1>
${list(verdict.because)}<p>Plain Node against itself: ${quote(verdict.control)}.</p></div>
${tiles(judged)}${wrong}
${judged.length === 0 ? '' : section('Pair by pair', `A dot is two neighbouring slices; the bar is the median of them with its 95 % interval. ${key('plain', 'plain Node against itself')} ${key('zone', 'too little to be called a difference')} &nbsp; bold: decides`, pairsChart(slices, judged))}
${section('Latency by percentile', 'All slices together; lower is better.', latencyChart(slices))}
${section('CPU per request, by thread', "Microseconds. JavaScript's thread is the one that a Node program runs out of.", threadsChart(slices))}
${section('Slice by slice', `${rated ? 'CPU per request' : 'Requests a second'}, in the order in which they were taken. ${key('ours', 'tsloop')} ${key('plain', 'plain Node (hollow: again)')}`, timelineChart(slices, rated))}
<section><h2>Why</h2>${list([...verdict.why, ...counted(course)])}</section>
${table(judged)}
<section><h2>Where</h2><p>Node ${quote(machine.node)}, ${machine.processors} × ${quote(machine.model)}, Linux ${quote(machine.kernel)}${look === null ? '' : `, ${look.expected.length} ${look.expected.length === 1 ? 'request' : 'requests'} in turn`}. How to read this: docs/trial.md of tsloop.</p></section>
</main></body></html>
`;
}

/** The four figures that most people look for. */
function tiles(judged: Report['course']['judged']): string {
  const shown = judged.filter(({ deciding, name }) => deciding && name !== 'p50');
  if (shown.length === 0) return '';
  const each = shown.map(({ label, found, words, values, unit }) => {
    const part = Math.round((found.median - 1) * 100);
    const big = {
      better: `${part > 0 ? '+' : '−'}${Math.abs(part)} %`,
      worse: `${part > 0 ? '+' : '−'}${Math.abs(part)} %`,
      'no difference shown': 'the same',
      undecided: 'undecided',
    }[found.word];
    const small = found.word === 'undecided' ? words.replace(/^undecided \((.*)\)$/, '$1') : interval(found);
    return [
      `<div class="tile"><span>${quote(label)}</span><b class="${tone(found.word)}">${big}</b>`,
      `<span>${figure(values.plain)} → ${figure(values.tsloop)} ${quote(unit)}</span><span>${quote(small)}</span></div>`,
    ].join('');
  });
  return `<div class="tiles">${each.join('')}</div>`;
}

function table(judged: Report['course']['judged']): string {
  if (judged.length === 0) return '';
  const head = [
    'measure',
    'plain Node',
    'tsloop',
    'ratio',
    '95 % interval',
    'margin',
    'plain against itself',
    'in words',
  ];
  const rows = judged.map(({ name, label, unit, values, found, words, control }) => [
    `${label} (${unit})`,
    figure(values.plain),
    figure(values.tsloop),
    ratio(found.median),
    interval(found),
    `±${Math.round(measures[name].margin * 100)} %`,
    interval(control),
    words,
  ]);
  const cells = (row: readonly string[], tag: string) =>
    `<tr>${row.map((cell) => `<${tag}>${quote(cell)}</${tag}>`).join('')}</tr>`;
  return `<section><h2>All measures</h2><div class="scroll"><table>${cells(head, 'th')}${rows.map((row) => cells(row, 'td')).join('')}</table></div></section>`;
}
