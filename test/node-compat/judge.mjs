// @ts-check
// The verdict on one test under one driver, from what plain Node does and what tsloop did. Pure: no process is started here.

/**
 * @typedef {import('./process.mjs').Result} Result
 * @typedef {import('./control.mjs').Control} Control
 * @typedef {import('./expectations.mjs').Exception} Exception
 * @typedef {'passed' | 'regression' | 'unexpected-pass' | 'excepted' | 'flaky' | 'skipped'} Class
 * @typedef {{ class: Class, why: string }} Verdict
 */

/** The classes that make a run fail. */
export const FATAL = /** @type {Class[]} */ (['regression', 'unexpected-pass']);

const CRASHES = ['SIGABRT', 'SIGSEGV', 'SIGBUS', 'SIGILL', 'SIGTRAP', 'SIGFPE'];

/** Whether the outcome is the one plain Node has: a test that skips itself only under tsloop has not passed.
 * @param {Result} result @param {Pick<Control, 'skippedItself'> | undefined} control */
export function matches(result, control) {
  return result.outcome === 'pass' && (!result.skippedItself || control?.skippedItself === true);
}

/** Whether a pass can be trusted without knowing what plain Node does.
 * @param {Result} result */
export function speaksForItself(result) {
  return result.outcome === 'pass' && !result.skippedItself;
}

/** The verdict after the first run, or null when a second look is needed.
 * @param {Result} result @param {Control | undefined} control @param {Exception | undefined} exception @returns {Verdict | null} */
export function firstVerdict(result, control, exception) {
  if (control && control.outcome !== 'pass')
    return {
      class: 'skipped',
      why: `plain Node itself ${control.outcome === 'timeout' ? 'does not finish' : 'fails'} here`,
    };
  if (matches(result, control)) {
    if (control?.skippedItself) return { class: 'skipped', why: 'the test skips itself here, on plain Node too' };
    if (exception && exception.kind !== 'flaky') return null;
    return { class: 'passed', why: '' };
  }
  if (exception) return { class: 'excepted', why: `${exception.kind}: ${exception.reason}` };
  return null;
}

/** The verdict after the second look.
 * @param {{ first: Result, again: Result[], control: Pick<Control, 'outcome' | 'skippedItself'> | undefined, exception: Exception | undefined }} seen
 * @returns {Verdict} */
export function lastVerdict({ first, again, control, exception }) {
  const failures = again.filter((result) => !matches(result, control)).length;
  if (exception) {
    if (failures > 0) return { class: 'excepted', why: `${exception.kind}: ${exception.reason}` };
    return {
      class: 'unexpected-pass',
      why: `expectations name it as ${exception.kind}, yet it passes: ${exception.reason}`,
    };
  }
  // Luck with time explains an assertion or a time-out; nothing but a defect explains a crash.
  if (CRASHES.includes(first.signal ?? '') && !(control && control.outcome !== 'pass')) {
    return { class: 'regression', why: `ended by ${first.signal} once; a crash is never flaky` };
  }
  if (control && control.outcome !== 'pass') return { class: 'flaky', why: 'plain Node passed before and fails now' };
  if (again.length === 0) return { class: 'regression', why: 'failed once, not looked at again' };
  if (failures > 0)
    return {
      class: 'regression',
      why:
        failures === again.length
          ? 'fails every time, plain Node passes'
          : `failed again in ${failures} of ${again.length} runs alone, plain Node passes`,
    };
  return { class: 'flaky', why: `failed once, then passed ${again.length} times alone` };
}

/** What differs between runs on the same side: numbers of processes, ports, addresses, places.
 * @param {string} line */
function withoutAccidents(line) {
  return line
    .replace(/\/\S*\/tsc-[^/\s]+\/\d+/g, '<tmp>')
    .replace(/\/\S*\/tsc-[^/\s]+\/tsloop\//g, '')
    .replace(/\/\S*\/suite\/[0-9a-f]{40}/g, '<suite>')
    .replace(/\(node:\d+\)/g, '(node:<pid>)')
    .replace(/(127\.0\.0\.1|::1|localhost|0\.0\.0\.0|::):\d{2,5}/g, '$1:<port>')
    .replace(/0x[0-9a-f]{4,}/g, '<address>')
    .trimEnd();
}

/** The first lines that tsloop's run has and plain Node's has not.
 * @param {Result} result @param {Pick<Result, 'stdout' | 'stderr'> | undefined} control @param {number} [most] @returns {string[]} */
export function difference(result, control, most = 8) {
  const shown =
    result.outcome === 'timeout'
      ? [`did not finish in ${Math.round(result.ms / 1000)} s`]
      : result.signal
        ? [`ended by ${result.signal}`]
        : result.code !== 0
          ? [`exit code ${result.code}`]
          : ['skipped itself'];
  const theirs = new Set(`${control?.stderr ?? ''}\n${control?.stdout ?? ''}`.split('\n').map(withoutAccidents));
  for (const stream of /** @type {const} */ (['stderr', 'stdout'])) {
    for (const line of result[stream].split('\n').map(withoutAccidents)) {
      if (shown.length > most) return shown;
      if (/^(\s*throw \w+.*|\s*\^+|node:\S+:\d+|\s+at .*\(?node:internal.*|Node\.js v.*)$/.test(line)) continue;
      if (line && !theirs.has(line)) shown.push(line.length > 200 ? `${line.slice(0, 200)}…` : line);
    }
  }
  return shown;
}
