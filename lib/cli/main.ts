#!/usr/bin/env node
/**
 * The command `tsloop`: `doctor`, which answers whether tsloop would run here, and if not why, and `trial`, which says what it
 * would do for a program. Exit code of `doctor` 0: active. 1: not active. 2, of all: called wrongly.
 */

import { examine } from './doctor';
import { renderTable } from './table';

/** A command of its own file; loaded when it is called. */
interface Command {
  readonly name: string;
  readonly summary: string;
  readonly usage: string;
  run(args: readonly string[]): Promise<number>;
}

const commands: Readonly<Record<string, () => Command>> = {
  trial: () => require('./trial/command') as typeof import('./trial/command'),
};

const USAGE = `Usage: tsloop doctor [--json]
       tsloop trial [options] -- node server.js    (tsloop trial --help)

Starts a small TCP program under tsloop with the settings of this shell and shows whether it ran on tsloop,
why not, what fell back to Node's own handles, and what this machine offers.

  --json   the same as one JSON object, for scripts`;

async function main(args: readonly string[]): Promise<number> {
  const [command, ...options] = args;
  if (command === '--help' || command === '-h' || command === 'help') {
    console.log(USAGE);
    return 0;
  }
  if (command !== undefined && Object.hasOwn(commands, command)) {
    const found = commands[command] as () => Command;
    return found().run(options);
  }
  if (command !== 'doctor' || options.some((option) => option !== '--json')) {
    console.error(USAGE);
    return 2;
  }
  const findings = await examine();
  if (options.includes('--json')) console.log(JSON.stringify(findings, null, 2));
  else console.log(renderTable(findings, process.stdout.isTTY === true && process.stdout.hasColors()));
  return findings.active ? 0 : 1;
}

main(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    console.error(error);
    process.exitCode = 2;
  },
);
