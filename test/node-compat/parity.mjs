// @ts-check
// docs/parity.md, from the results of a run: how many of Node's tests pass under tsloop, and in words those that do not.
// What changes from run to run (seeds, seconds, which test needed a second look) stays out, so that a difference in the page is one in tsloop,
// in the pins or in the machine.

import fs from 'node:fs';
import { axes, count } from './report.mjs';

/** @typedef {import('./expectations.mjs').Expectations} Expectations */

const KINDS = {
  'cannot-match': 'Not reachable from outside Node',
  defect: 'Defects of ours, to be closed',
  flaky: 'Pass and fail under tsloop, by the order of events',
};

/** @param {import('./report.mjs').Report} report @param {string} column */
function heading(report, column) {
  const [line = '', driver = '', via] = column.split(' ');
  const node = report.lines.find((one) => one.line === line)?.node ?? line;
  return `Node ${node}, ${driver}${via ? `, by \`${via}\`` : ''}`;
}

/** @param {import('./session.mjs').Unit[]} units */
function passedOfJudged(units) {
  const { eligible, passed, flaky } = count(units);
  // One that failed in the crowd and then passed three times alone has passed.
  return eligible === 0 ? '-' : `${passed + flaky} of ${eligible}`;
}

/** @param {Expectations[]} all @param {import('./report.mjs').Report} report @returns {string[]} */
function exceptionsInWords(all, report) {
  const lines = new Set(report.lines.map((one) => Number(one.line)));
  const out = [];
  for (const [kind, title] of Object.entries(KINDS)) {
    const entries = all.flatMap(({ exceptions }) =>
      exceptions.filter((one) => one.kind === kind && one.lines.some((line) => lines.has(line))),
    );
    if (entries.length === 0) continue;
    out.push(`### ${title}`, '');
    for (const { test, reason, lines: on, drivers } of entries) {
      const where = [`Node ${on.join(', ')}`, drivers ? `with the ${drivers.join(' or ')} driver` : ''];
      out.push(`- \`${test}\` (${where.filter(Boolean).join(', ')}): ${reason}`);
    }
    out.push('');
  }
  return out.length > 0 ? out : ['None.', ''];
}

/** @param {import('./report.mjs').Report} report @param {Expectations[]} all @returns {string} */
export function parityPage(report, all) {
  const { rows, columns, at } = axes(report);
  const about = (/** @type {string} */ row) => all.find(({ subsystem }) => subsystem === row)?.about ?? '';
  const row = (/** @type {string[]} */ cells) => `| ${cells.join(' | ')} |`;
  const suites = report.lines.map(
    ({ node, suite, from }) =>
      `Node ${node} is judged by the tests of ${suite} (${from === 'git' ? 'a git copy' : `${from} source`})`,
  );
  const unexpected = report.units.filter((unit) => unit.class === 'regression');
  return [
    "# Node's own tests under tsloop",
    '',
    '<!-- written by test/node-compat/parity.mjs from the results of a run: edit nothing here -->',
    '',
    `Of the tests that plain Node passes on the same machine, how many pass under tsloop. ${suites.join('; ')}.`,
    'Written by `npm test` from its own run; [how tests are run and judged](../test/node-compat/README.md).',
    'The `random` driver passes the seat between both threads at random, so every test meets both and the way between',
    'them. By `NODE_OPTIONS` the processes and threads that a test starts run under tsloop too.',
    '',
    row(['subsystem', ...columns.map((column) => heading(report, column)), 'what it is']),
    row(['---', ...columns.map(() => '---'), '---']),
    ...rows.map((name) => row([name, ...columns.map((column) => passedOfJudged(at(name, column))), about(name)])),
    row(['**all**', ...columns.map((column) => `**${passedOfJudged(at(null, column))}**`), '']),
    '',
    '## Exceptions',
    '',
    ...exceptionsInWords(all, report),
    ...(unexpected.length > 0
      ? [
          '## Regressions',
          '',
          ...unexpected.map((unit) => `- \`${unit.test}\` (Node ${unit.line}, ${unit.driver}): ${unit.why}`),
          '',
        ]
      : []),
  ].join('\n');
}

/** @param {string} file @param {string} page @param {(text: string) => void} say */
export function writePage(file, page, say) {
  if (fs.existsSync(file) && fs.readFileSync(file, 'utf8') === page) return;
  fs.writeFileSync(file, page);
  say(`docs/parity.md has changed: commit it with what changed it`);
}
