/** The command `tsloop doctor`: whether tsloop would run here, and if not why. Exit code 0: active. 1: not active. */

import { parseArgs } from 'node:util';
import { examine } from './examine';
import { renderTable } from './table';

export const name = 'doctor';

export const summary = 'whether tsloop would run here, and if not why';

export const usage = `Usage: tsloop doctor [--json]

Starts a small program under tsloop with the settings of this shell and shows whether it ran on tsloop,
why not, what fell back to Node's own handles, and what this machine offers.

  --json   the same as one JSON object, for scripts

Exit code 0: active. 1: not active.`;

export async function run(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({ args: [...args], options: { json: { type: 'boolean' } } });
  const findings = await examine();
  if (values.json) console.log(JSON.stringify(findings, null, 2));
  else console.log(renderTable(findings, process.stdout.isTTY === true && process.stdout.hasColors()));
  return findings.active ? 0 : 1;
}
