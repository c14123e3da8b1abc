/**
 * The command `tsloop doctor`: whether programs run on tsloop here, and if not why; or whether one given program does.
 * Exit code 0: active. 1: not active.
 */

import { parseArgs } from 'node:util';
import { UsageError } from './command';
import { examine } from './examine';
import { renderTable } from './table';
import { isOn, renderWatched, watch } from './watch';

export const name = 'doctor';

export const summary = 'whether programs run on tsloop here, and if not why';

export const usage = `Usage: tsloop doctor [--json]
       tsloop doctor [--json] [--seconds 5] -- node server.js

Starts a small program under tsloop with the settings of this shell and shows which parts of Node ran on tsloop,
why others did not and what to do about it, and what this machine offers.

With a command behind -- that program is started instead, for some seconds: whether it ran on tsloop, what was
preloaded and in which order, and who loaded Node's network modules first. What it prints goes to standard error.

  --json        the same as one JSON object, for scripts
  --seconds N   how long the program is looked at, 5 by default

Exit code 0: active. 1: not active.`;

const SECONDS = 5;

export async function run(args: readonly string[]): Promise<number> {
  const { values, positionals, tokens } = parseArgs({
    args: [...args],
    allowPositionals: true,
    tokens: true,
    options: { json: { type: 'boolean' }, seconds: { type: 'string' } },
  });
  const hasCommand = tokens.some(({ kind }) => kind === 'option-terminator');
  const stray = hasCommand ? tokens.findIndex(({ kind }) => kind === 'positional') : 0;
  const isStray = hasCommand
    ? stray >= 0 && stray < tokens.findIndex(({ kind }) => kind === 'option-terminator')
    : positionals.length > 0;
  if (isStray) throw new UsageError(`${positionals[0]} is no option; a program to look at stands behind --`);
  const colour = process.stdout.isTTY === true && process.stdout.hasColors();
  const print = (found: unknown, rendered: () => string): void =>
    console.log(values.json ? JSON.stringify(found, null, 2) : rendered());
  if (hasCommand) {
    const watched = await watch(positionals, secondsIn(values.seconds));
    print(watched, () => renderWatched(watched, colour));
    return isOn(watched) ? 0 : 1;
  }
  if (values.seconds !== undefined) throw new UsageError('--seconds is for a command behind --');
  const findings = await examine();
  print(findings, () => renderTable(findings, colour));
  return findings.active ? 0 : 1;
}

function secondsIn(text: string | undefined): number {
  const seconds = text === undefined ? SECONDS : Number(text);
  if (!(seconds > 0 && seconds <= 3600)) throw new UsageError(`--seconds takes a number up to 3600, not ${text}`);
  return seconds;
}
