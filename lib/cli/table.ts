/**
 * Findings as a page for a terminal: a verdict first, then sections of names and values. Colour only says again what
 * the words say.
 */

import type { Findings } from './examine';

const paints = { good: '32', bad: '31', quiet: '2', head: '1' } as const;

/** Renders the findings; `colour` for terminals. */
export function renderTable(findings: Findings, colour: boolean): string {
  const paint = (how: keyof typeof paints, text: string) => (colour ? `\x1b[${paints[how]}m${text}\x1b[0m` : text);
  const lines: string[] = [];
  const section = (title: string, entries: Readonly<Record<string, unknown>>) => {
    const rows = Object.entries(entries).flatMap(([name, value]) => flatten(name, value));
    if (rows.length === 0) return;
    lines.push('', paint('head', title));
    const width = Math.max(...rows.map(([name]) => name.length));
    for (const [name, value] of rows) lines.push(`  ${name.padEnd(width)}  ${value}`);
  };

  lines.push(
    findings.active
      ? paint('good', 'active: net runs on tsloop')
      : paint('bad', `not active: ${describe(findings.reason)}`),
  );
  if (findings.driver !== null) lines.push(`driver: ${describe(findings.driver)}`);
  section(
    'Round trips',
    mapValues(findings.echoed, (whole) => (whole ? 'whole' : 'failed')),
  );
  section("Fell back to Node's handles", findings.fallbacks);
  section('Versions', findings.versions);
  section('This machine', findings.system);
  section('Settings', findings.settings);
  for (const text of findings.problems) lines.push('', paint('bad', text));
  if (findings.warnings.length > 0) lines.push('', paint('head', 'Said by the program'));
  for (const text of findings.warnings) lines.push(paint('quiet', `  ${text}`));
  return lines.join('\n');
}

function mapValues<T>(record: Readonly<Record<string, T>>, map: (value: T) => string): Record<string, string> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, map(value)]));
}

/** Nested objects become dotted names: a page has two columns. */
function flatten(name: string, value: unknown): [string, string][] {
  if (value !== null && typeof value === 'object' && !Array.isArray(value)) {
    return Object.entries(value).flatMap(([inner, part]) => flatten(`${name}.${inner}`, part));
  }
  return [[name, describe(value)]];
}

function describe(value: unknown): string {
  if (value === null || value === undefined) return '-';
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (Array.isArray(value)) return value.length === 0 ? '-' : value.map(describe).join(', ');
  if (typeof value === 'object') {
    const { message, code } = value as { message?: unknown; code?: unknown };
    return message === undefined ? JSON.stringify(value) : `${message}${code === undefined ? '' : ` [${code}]`}`;
  }
  return String(value);
}
