#!/usr/bin/env node
// @ts-check
// The parity table, from one result or several: per subsystem, Node line and driver, how many tests that plain Node passes pass under tsloop.
// `node report.mjs RESULT.json... [--svg FILE]` merges results of several machines or shards; run.mjs prints the same after a run.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { FATAL } from './judge.mjs';

/**
 * @typedef {import('./session.mjs').Unit} Unit
 * @typedef {{ line: string, test: string, subsystem: string, outcome: string, skippedItself: boolean, ms: number }} ControlRow
 * @typedef {{ cores: number, cpu: string, kernel: string, arch: string, root: boolean }} Machine
 * @typedef {{ fault: string, test: string, noticed: boolean }} Notice  what became of a planted fault
 * @typedef {{ line: string, node: string, suite: string, from: string }} Line
 * @typedef {{ machine: Machine, enable: string | null, seed: number, seconds: number, lines: Line[], units: Unit[], controls: ControlRow[], notices: Notice[], stale: string[] }} Report
 * @typedef {{ eligible: number, passed: number, bad: number, excepted: number, flaky: number, skipped: number }} Cell
 */

/** @returns {Machine} */
export function machine() {
  return {
    cores: os.cpus().length,
    cpu: os.cpus()[0]?.model.trim() ?? 'unknown',
    kernel: os.release(),
    arch: os.arch(),
    root: process.getuid?.() === 0,
  };
}

/** @param {Unit[]} units @returns {Cell} */
export function count(units) {
  const of = (/** @type {string[]} */ ...classes) => units.filter((unit) => classes.includes(unit.class)).length;
  const skipped = of('skipped');
  return {
    eligible: units.length - skipped,
    passed: of('passed'),
    bad: of(...FATAL),
    excepted: of('excepted'),
    flaky: of('flaky'),
    skipped,
  };
}

/** The table's two sides: subsystems, and one column per line, driver and way of loading. A row of `null` is all subsystems.
 * @param {Report} report */
export function axes(report) {
  const rows = [...new Set(report.units.map((unit) => unit.subsystem))].sort();
  const name = (/** @type {Unit} */ unit) => `${unit.line} ${unit.driver}${unit.via === 'env' ? ' NODE_OPTIONS' : ''}`;
  const columns = [...new Set(report.units.map(name))];
  const at = (/** @type {string | null} */ row, /** @type {string} */ column) =>
    report.units.filter((unit) => (row === null || unit.subsystem === row) && name(unit) === column);
  return { rows, columns, at };
}

/** @param {Cell} cell */
function cellText(cell) {
  const marks = [
    cell.bad ? `${cell.bad} bad` : '',
    cell.excepted ? `${cell.excepted} exc` : '',
    cell.flaky ? `${cell.flaky} flaky` : '',
  ].filter(Boolean);
  return cell.eligible === 0 ? '-' : `${cell.passed}/${cell.eligible}${marks.length ? ` (${marks.join(', ')})` : ''}`;
}

/** @param {string[][]} table @param {(text: string, row: number, column: number) => string} paint */
function aligned(table, paint) {
  const widths = (table[0] ?? []).map((_, column) => Math.max(...table.map((row) => row[column]?.length ?? 0)));
  return table
    .map((row, at) =>
      row
        .map((text, column) => paint(text.padEnd(/** @type {number} */ (widths[column])), at, column))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** @param {ControlRow[]} controls @param {string[]} out */
function controlTable(controls, out) {
  const groups = [...new Set(controls.map((row) => `${row.line} ${row.subsystem}`))].sort();
  const table = [['subsystem', 'node', 'tests', 'pass', 'fail', 'time-out', 'skip themselves', 'seconds in all']];
  for (const group of groups) {
    const rows = controls.filter((row) => `${row.line} ${row.subsystem}` === group);
    const of = (/** @type {string} */ outcome) =>
      rows.filter((row) => row.outcome === outcome && !row.skippedItself).length;
    const [line = '', subsystem = ''] = group.split(' ');
    table.push([
      subsystem,
      line,
      String(rows.length),
      String(of('pass')),
      String(of('fail')),
      String(of('timeout')),
      String(rows.filter((row) => row.skippedItself).length),
      (rows.reduce((sum, row) => sum + row.ms, 0) / 1000).toFixed(0),
    ]);
  }
  out.push(
    'plain Node alone:',
    aligned(table, (text) => text),
    '',
  );
}

/** @param {Report} report @param {boolean} colour @param {number} [missing] what could not be had here, each counted as one skipped test */
export function summary(report, colour, missing = 0) {
  const paint = (/** @type {string} */ text, /** @type {number} */ code) =>
    colour ? `\x1b[${code}m${text}\x1b[0m` : text;
  const out = [''];
  for (const fatal of [...FATAL, 'flaky', 'excepted']) {
    const units = report.units.filter((unit) => unit.class === fatal);
    if (units.length === 0) continue;
    out.push(paint(`${fatal} (${units.length})`, FATAL.includes(/** @type {any} */ (fatal)) ? 31 : 33));
    for (const unit of units) {
      const by = unit.via === 'env' ? ', by NODE_OPTIONS' : '';
      out.push(`  ${unit.test}  Node ${unit.line}, ${unit.driver}${by}: ${unit.why}`);
      if (FATAL.includes(unit.class)) {
        for (const line of unit.detail ?? []) out.push(`      ${line}`);
        if (unit.command) out.push(paint(`      again: ${unit.command}`, 2));
      }
    }
    out.push('');
  }
  for (const { fault, test, noticed } of report.notices)
    if (!noticed) out.push(paint(`unnoticed: with the planted fault ${fault} these pass as ever: ${test}`, 31));
  for (const text of report.stale) out.push(paint(`stale: ${text}`, 31));
  if (report.controls.length > 0) controlTable(report.controls, out);

  const { rows, columns, at } = axes(report);
  if (rows.length > 0) {
    const cells = rows.map((row) => columns.map((column) => count(at(row, column))));
    const totals = columns.map((column) => count(at(null, column)));
    const table = [
      ['', ...columns.map((column) => `Node ${column}`)],
      ...rows.map((row, r) => [row, ...columns.map((_, c) => cellText(/** @type {Cell} */ (cells[r]?.[c])))]),
      ['all', ...totals.map(cellText)],
    ];
    out.push(
      aligned(table, (text, r, c) => {
        if (r === 0 || c === 0) return paint(text, 1);
        const cell = r <= rows.length ? cells[r - 1]?.[c - 1] : totals[c - 1];
        return !cell || cell.eligible === 0
          ? paint(text, 2)
          : paint(text, cell.bad ? 31 : cell.excepted || cell.flaky ? 33 : 32);
      }),
      '',
    );
  }
  const all = count(report.units);
  out.push(
    `${report.lines.map((line) => `Node ${line.node} on the suite of ${line.suite}`).join('; ')}; seed ${report.seed}${report.enable ? `; with ${report.enable}` : ''}; ${report.seconds} s`,
  );
  if (all.flaky + all.excepted > 0)
    out.push(`${all.flaky} flaky and ${all.excepted} excepted are counted as neither passed nor failed`);
  const unnoticed = report.notices.filter((notice) => !notice.noticed).length;
  if (report.notices.length > 0)
    out.push(`${report.notices.length - unnoticed} of ${report.notices.length} planted faults noticed`);
  out.push(
    `${all.passed + report.notices.length - unnoticed} passed, ${all.bad + report.stale.length + unnoticed} failed, ${all.skipped + missing} skipped`,
  );
  return out.join('\n');
}

/** @param {string} text */
function escaped(text) {
  return text.replace(/[&<>"]/g, (char) => `&#${char.charCodeAt(0)};`);
}

/** The table as a picture that reads on light and dark pages.
 * @param {Report} report */
export function parityPicture(report) {
  const { rows, columns, at } = axes(report);
  const [left, top, wide, high] = [150, 74, 150, 26];
  const width = Math.max(480, left + columns.length * wide + 20);
  const height = top + (rows.length + 1) * high + 40;
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="system-ui, sans-serif" font-size="12">`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    `<text x="14" y="24" font-size="15" font-weight="600" fill="#1f2328">Node's own tests that plain Node passes here, under tsloop</text>`,
  ];
  columns.forEach((column, c) => {
    const [line = '', ...driver] = column.split(' ');
    const x = left + c * wide + wide / 2;
    parts.push(
      `<text x="${x}" y="${top - 24}" text-anchor="middle" font-weight="600" fill="#1f2328">Node ${escaped(line)}</text>`,
      `<text x="${x}" y="${top - 9}" text-anchor="middle" fill="#59636e">${escaped(driver.join(' '))}</text>`,
    );
  });
  [...rows, 'all'].forEach((row, r) => {
    const y = top + r * high;
    parts.push(
      `<text x="${left - 10}" y="${y + 17}" text-anchor="end" fill="#1f2328"${row === 'all' ? ' font-weight="600"' : ''}>${escaped(row)}</text>`,
    );
    columns.forEach((column, c) => {
      const cell = count(at(row === 'all' ? null : row, column));
      const fill =
        cell.eligible === 0
          ? '#eaeef2'
          : cell.bad > 0
            ? '#ffc1ba'
            : cell.excepted + cell.flaky > 0
              ? '#fae17d'
              : '#aceebb';
      parts.push(
        `<rect x="${left + c * wide + 2}" y="${y + 2}" width="${wide - 4}" height="${high - 4}" rx="3" fill="${fill}"><title>${escaped(cellText(cell))}</title></rect>`,
      );
      parts.push(
        `<text x="${left + c * wide + wide / 2}" y="${y + 17}" text-anchor="middle" fill="#1f2328">${cell.eligible === 0 ? '-' : `${cell.passed}/${cell.eligible}`}</text>`,
      );
    });
  });
  const { machine: of } = report;
  parts.push(
    `<text x="14" y="${height - 14}" fill="#59636e">${escaped(`green: all; yellow: exceptions with a reason, or flaky; red: regressions. ${of.cores} cores, ${of.arch}, Linux ${of.kernel}`)}</text>`,
    '</svg>',
  );
  return `${parts.join('\n')}\n`;
}

/** @param {Report[]} reports @returns {Report} */
export function merge(reports) {
  const [first, ...others] = reports;
  if (!first) throw new Error('no result given');
  const key = (/** @type {Unit} */ unit) => `${unit.line} ${unit.driver} ${unit.via} ${unit.test}`;
  // A later result replaces an earlier one of the same test: results are given in the order they were made.
  const units = new Map(reports.flatMap((report) => report.units).map((unit) => [key(unit), unit]));
  const lines = new Map(reports.flatMap((report) => report.lines).map((line) => [line.line, line]));
  return {
    ...first,
    lines: [...lines.values()],
    units: [...units.values()],
    controls: reports.flatMap((report) => report.controls),
    notices: reports.flatMap((report) => report.notices),
    stale: [...new Set(reports.flatMap((report) => report.stale))],
    seconds: others.reduce((sum, report) => sum + report.seconds, first.seconds),
  };
}

if (process.argv[1] && path.resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const args = process.argv.slice(2);
  const svg = args.indexOf('--svg');
  const picture = svg >= 0 ? args.splice(svg, 2)[1] : undefined;
  if (args.length === 0) {
    console.error('node report.mjs RESULT.json... [--svg FILE]');
    process.exit(2);
  }
  const report = merge(args.map((file) => JSON.parse(fs.readFileSync(file, 'utf8'))));
  if (picture) fs.writeFileSync(picture, parityPicture(report));
  console.log(summary(report, process.stdout.isTTY === true));
}
