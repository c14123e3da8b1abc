/** `tsloop trial -- node server.js`: what would tsloop do for this program, on this machine? */

import { writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { cannotShow, lookAround } from './machine';
import { type Options, readOptions, UsageError } from './options';
import { renderPage } from './page';
import { endAll, ProgramError } from './program';
import { showProgress } from './progress';
import { InactiveError, Trial } from './trial';
import { conclude } from './verdict';
import { type Report, render } from './words';

export const name = 'trial';
export const summary = 'runs your program on plain Node and on tsloop, by turns, and says whether it gains';

export const usage = `Usage: tsloop trial [options] -- node server.js

Runs the program as it is three times at once: on plain Node, on tsloop, and on plain Node again, which shows
what this machine takes for a difference. Ports are its own each time. Load goes to one after the other in short
slices; neighbours in time are compared.

Load, built in (HTTP/1.1, HTTP/2, WebSocket, TCP echo; over TLS too; by autocannon if it is installed):
  --url URL           path, or address with the port that the program asks for; may be given again   (/)
                      ws://… and tcp://… exchange messages
  --har FILE          the requests of a recording, in their order
  --method, --header "name: value", --body TEXT or @FILE
  --connections N     at once                                                                       (32)
  --rate N            requests a second; latency counts from when a request was due     (as many as go)
  --generator own     not autocannon
Load, your own:
  --load COMMAND      run for each slice, with $PORT, $URL and $SOCKET in its environment; a last line of JSON
                      (requests, errors, p50, p99, p999 in µs, or what autocannon -j prints) is read

  --pairs N           instead of auto: until the intervals are as narrow as ±3 %, or the time is over
  --time S            seconds for everything                                                       (300)
  --slice S           seconds of a slice                                                             (1)
  --warmup S          seconds of load on a fresh program that do not count                           (2)
  --restart           for programs that cannot run twice at once: one at a time, ports as they are
  --ready WHAT        /path that must answer 2xx or 3xx, or a text that the program prints
  --json              the report as one JSON object on standard output
  --html FILE         the report as one page

Exit code: 0  worth a canary: a gain, and no loss where it counts
           3  no gain for this program: none was shown, or a gain was paid for with a loss
           4  worse: leave it out: slower, or wrong answers, or broken connections
           1  no verdict: the program or the load did not run, or tsloop was not active
           2  called wrongly`;

export async function run(args: readonly string[]): Promise<number> {
  if (args[0] === '--help' || args[0] === '-h') {
    console.log(usage);
    return 0;
  }
  let options: Options;
  try {
    options = readOptions(args);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(`tsloop trial: ${error.message}\nSee tsloop trial --help.`);
    return 2;
  }
  return tryOut(options);
}

async function tryOut(options: Options): Promise<number> {
  const machine = await lookAround();
  const limits = cannotShow(machine, options.load === null);
  if (!options.json) console.error(['What this trial cannot show', ...limits.map((text) => `  ${text}`)].join('\n'));
  const progress = showProgress(process.stderr);
  const trial = new Trial(options, progress);
  process.once('exit', endAll);
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => {
      progress.end();
      trial.close().finally(() => process.exit(128 + constants.signals[signal]));
    });
  try {
    const course = await trial.run();
    progress.end();
    const verdict = conclude(course.judged, course.slices, course.incidents, machine, course.target?.secure === true);
    const report: Report = { command: options.command.join(' '), machine, cannotShow: limits, course, verdict };
    if (options.html !== null) writeFileSync(options.html, renderPage(report));
    if (options.json) console.log(JSON.stringify(asJson(report)));
    else {
      const screen = process.stdout.isTTY === true;
      console.log(render(report, screen && process.stdout.hasColors(), !(screen && process.stderr.isTTY === true)));
    }
    return verdict.code;
  } catch (error) {
    progress.end();
    const expected = error instanceof ProgramError || error instanceof InactiveError;
    const message = expected
      ? error.message
      : `a fault of the trial itself: ${error instanceof Error ? error.stack : error}`;
    console.error(`tsloop trial: no verdict: ${message}`);
    if (options.json) console.log(JSON.stringify({ verdict: null, code: 1, message }));
    return 1;
  } finally {
    await trial.close();
  }
}

/** Without the buckets and bodies, which nobody reads by a script. */
function asJson({ course, ...rest }: Report): object {
  const { slices, look, ...others } = course;
  return {
    ...rest,
    ...others,
    compared:
      look === null ? null : { exact: look.exact, shape: look.shape, status: look.status, skipped: look.skipped },
    slices: slices.map(({ latency: _, ...slice }) => slice),
  };
}
