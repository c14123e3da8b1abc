#!/usr/bin/env node
/**
 * The command `tsloop`. One command so far: `tsloop doctor [--json]`, which answers whether tsloop would run here, and
 * if not why. Exit code 0: active. 1: not active. 2: called wrongly.
 */

import { examine } from './doctor';
import { renderTable } from './table';

const USAGE = `Usage: tsloop doctor [--json]

Starts a small TCP program under tsloop with the settings of this shell and shows whether it ran on tsloop,
why not, what fell back to Node's own handles, and what this machine offers.

  --json   the same as one JSON object, for scripts`;

async function main(args: readonly string[]): Promise<number> {
  const [command, ...options] = args;
  if (command === '--help' || command === '-h' || command === 'help') {
    console.log(USAGE);
    return 0;
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
